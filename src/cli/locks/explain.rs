//! `locks --explain`: who waits for whom, over plans and over what runs below `exec`.

use std::collections::HashMap;

use serde::Serialize;

use super::super::session::{Cli, SCHEMA_VERSION, since};
use super::seen::{Document, Seen, actor};
use crate::lock::graph;
use crate::project::Project;
use crate::store::tickets::Ticket;
use crate::ui::render;

/// The columns of the deepest indentation.
const DEEPEST: usize = 18;

/// The wait-for graph over the tickets of one look, by their indices.
struct Graph {
    /// What each ticket waits for, in the order of the line.
    waits_for: Vec<Vec<usize>>,
}

/// A line of the drawing: the branches before it, and the ticket it is about.
struct Drawn {
    trunk: String,
    index: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edge {
    ticket: i64,
    waits_for: Vec<i64>,
}

/// Draws the queue as a forest: each waits for the one it stands below.
pub(super) fn explain(cli: &Cli, project: &Project, all: &[Seen]) {
    let graph = Graph::new(all);
    if cli.json {
        let edges = graph.waits_for.iter().enumerate();
        let edges: Vec<Edge> = edges
            .filter(|(_, waits_for)| !waits_for.is_empty())
            .map(|(index, waits_for)| Edge {
                ticket: all[index].ticket.id,
                waits_for: ids(all, waits_for),
            })
            .collect();
        let locks: Vec<Document> = all
            .iter()
            .map(|seen| Document::new(cli, project, seen))
            .collect();
        let circles: Vec<Vec<i64>> = graph
            .circles()
            .iter()
            .map(|found| ids(all, found))
            .collect();
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "edges": edges, "circles": circles, "locks": locks,
        }));
        return;
    }
    let is_utf8 = !cli.ui.signs().ellipsis.is_ascii();
    for drawn in graph.drawn(is_utf8) {
        let words = words(all, &graph, drawn.index);
        let line = format!("{}{words}", drawn.trunk);
        cli.ui.line(match cli.ui.width() {
            Some(width) => render::truncated(&line, width, cli.ui.signs()),
            None => line,
        });
    }
    for circle in graph.circles() {
        let mut chain = String::from("In a circle: ");
        for index in &circle {
            let ticket = &all[*index].ticket;
            let tie = if ticket.state.blocks() {
                "runs"
            } else {
                "waits for"
            };
            chain = format!("{chain}{} {tie} ", ticket.id);
        }
        let first = circle.first().map(|index| all[*index].ticket.id);
        let first = first.map(|id| id.to_string()).unwrap_or_default();
        cli.ui.line(format!("{chain}{first}"));
    }
}

fn ids(all: &[Seen], indices: &[usize]) -> Vec<i64> {
    indices.iter().map(|index| all[*index].ticket.id).collect()
}

/// "12 waiting, position 2: Load context (main) on work, ann, pid 4711 (plandex load x), 3s".
fn words(all: &[Seen], graph: &Graph, index: usize) -> String {
    let seen = &all[index];
    let ticket = &seen.ticket;
    let mut who = match seen.pid().as_str() {
        "" => ticket.command.clone(),
        pid => format!("pid {pid} ({})", ticket.command),
    };
    let name = actor(&ticket.actor);
    if !name.is_empty() {
        who = format!("{name}, {who}");
    }
    let age = render::age(since(seen.since()));
    let mut words = format!(
        "{} {} for {age}: {} on {}, {who}",
        ticket.id,
        seen.state(),
        seen.operation(),
        seen.plan()
    );
    let waits_for = &graph.waits_for[index];
    let next = graph.next(index);
    if ticket.state.blocks() && !waits_for.is_empty() {
        let runs: Vec<String> = ids(all, waits_for).iter().map(i64::to_string).collect();
        words = format!("{words}, which runs {}", runs.join(", "));
    } else if next.len() > 1 {
        let all: Vec<String> = ids(all, &next).iter().map(i64::to_string).collect();
        words = format!("{words}, after {}", all.join(", "));
    }
    words
}

impl Graph {
    fn new(all: &[Seen]) -> Self {
        let tickets: Vec<Ticket> = all.iter().map(|seen| seen.ticket.clone()).collect();
        let places: HashMap<i64, usize> = tickets
            .iter()
            .enumerate()
            .map(|(index, ticket)| (ticket.id, index))
            .collect();
        let mut waits_for: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
        for (from, to) in graph::edges(&tickets) {
            if let (Some(from), Some(to)) = (places.get(&from), places.get(&to)) {
                waits_for[*from].push(*to);
            }
        }
        waits_for.iter_mut().for_each(|found| found.sort_unstable());
        Self { waits_for }
    }

    /// What it waits for and nothing else that it waits for does: the rest goes without saying.
    fn next(&self, index: usize) -> Vec<usize> {
        let all = &self.waits_for[index];
        let is_said = |to: &usize| all.iter().any(|by| self.waits_for[*by].contains(to));
        all.iter().filter(|to| !is_said(to)).copied().collect()
    }

    /// The one of those it waits for that it is drawn below: the last one.
    fn above(&self, index: usize) -> Option<usize> {
        self.waits_for[index].last().copied()
    }

    fn drawn(&self, is_utf8: bool) -> Vec<Drawn> {
        let mut drawn = Vec::new();
        let in_circles: Vec<usize> = self.circles().into_iter().flatten().collect();
        for root in 0..self.waits_for.len() {
            if self.above(root).is_none() {
                self.draw(root, "", "", is_utf8, &mut drawn);
            }
        }
        // Those of a circle stand below each other, so they have no root: the first is one.
        for index in in_circles {
            if !drawn.iter().any(|line| line.index == index) {
                self.draw(index, "", "", is_utf8, &mut drawn);
            }
        }
        drawn
    }

    fn draw(&self, index: usize, own: &str, below: &str, is_utf8: bool, drawn: &mut Vec<Drawn>) {
        drawn.push(Drawn {
            trunk: own.to_owned(),
            index,
        });
        let waiting: Vec<usize> = (0..self.waits_for.len())
            .filter(|other| self.above(*other) == Some(index))
            .filter(|other| !drawn.iter().any(|line| line.index == *other))
            .collect();
        let [tee, corner, bar] = if is_utf8 {
            ["├─ ", "└─ ", "│  "]
        } else {
            ["|- ", "`- ", "|  "]
        };
        for (place, other) in waiting.iter().enumerate() {
            let is_last = place + 1 == waiting.len();
            let own = format!("{below}{}", if is_last { corner } else { tee });
            // A long line does not run off the terminal.
            let below = match below.chars().count() < DEEPEST {
                true => format!("{below}{}", if is_last { "   " } else { bar }),
                false => below.to_owned(),
            };
            self.draw(*other, &own, &below, is_utf8, drawn);
        }
    }

    /// Tickets that wait for each other in a circle, each circle once.
    fn circles(&self) -> Vec<Vec<usize>> {
        let number = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
        let edges: Vec<(i64, i64)> = self
            .waits_for
            .iter()
            .enumerate()
            .flat_map(|(from, all)| all.iter().map(move |to| (number(from), number(*to))))
            .collect();
        let mut found: Vec<Vec<usize>> = Vec::new();
        for start in 0..self.waits_for.len() {
            if found.iter().flatten().any(|index| *index == start) {
                continue;
            }
            let circle = graph::circle(&edges, number(start)).unwrap_or_default();
            if !circle.is_empty() {
                let indices = circle.into_iter().filter_map(|id| usize::try_from(id).ok());
                found.push(indices.collect());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Graph;

    fn drawn(waits_for: &[&[usize]], is_utf8: bool) -> Vec<String> {
        let waits_for = waits_for.iter().map(|edges| edges.to_vec()).collect();
        let drawn = Graph { waits_for }.drawn(is_utf8);
        let line = |line: &super::Drawn| format!("{}{}", line.trunk, line.index);
        drawn.iter().map(line).collect()
    }

    #[test]
    fn each_stands_below_the_last_it_waits_for() {
        // 0 holds; 1 and 2 read after it; 3 writes after all; 4 is on another plan.
        let graph: &[&[usize]] = &[&[], &[0], &[0], &[0, 1, 2], &[]];
        assert_eq!(drawn(graph, true), ["0", "├─ 1", "└─ 2", "   └─ 3", "4"]);
        assert_eq!(drawn(graph, false), ["0", "|- 1", "`- 2", "   `- 3", "4"]);
    }

    #[test]
    fn a_circle_is_found_once_and_drawn() {
        let waits_for = vec![vec![1], vec![2], vec![0], vec![0]];
        let graph = Graph { waits_for };
        assert_eq!(graph.circles(), [vec![0, 1, 2]]);
        let lines: Vec<usize> = graph.drawn(true).iter().map(|line| line.index).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
    }
}
