//! Where each process's lane lies, and each bar in it.
//!
//! A few processes have a band of the picture each. Many share bands: a lane then begins where
//! another one, with its name behind it, has ended.

use std::collections::HashMap;

use super::Timeline;

/// The least width of a bar in pixels: what took no time is still there.
const BAR_LEAST: f64 = 2.0;
/// Between two lanes in one band.
const GAP: f64 = 10.0;

/// A bar's extent in pixels, and its row in its lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    pub(super) operation: usize,
    /// Its left end: where the wait began.
    pub(super) from: f64,
    /// Where the hold began; its right end if there was none.
    pub(super) granted: f64,
    pub(super) to: f64,
    pub(super) row: usize,
}

/// All that one process did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lane {
    pub(super) bars: Vec<Bar>,
    /// The row of the picture that it begins in, and how many it takes.
    pub(super) row: usize,
    pub(super) rows: usize,
    /// Its extent in pixels, its name included where the name stands in it.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Lane {
    /// The right end of its last bar.
    pub(super) fn end(&self) -> f64 {
        self.bars.iter().map(|bar| bar.to).fold(0.0, f64::max)
    }
}

/// From time to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) left: f64,
    pub(super) width: f64,
}

impl Scale {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of a few years are exact in an f64"
    )]
    pub(super) fn x(&self, at: i64) -> f64 {
        let at = at.clamp(self.from, self.until);
        let length = (self.until - self.from).max(1) as f64;
        self.left + (at - self.from) as f64 / length * self.width
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }
}

/// One lane a process (its pid and command), in the order of their first bars, none placed yet.
pub(super) fn lanes(timeline: &Timeline, scale: &Scale) -> Vec<Lane> {
    let mut places: HashMap<(u32, &str), usize> = HashMap::new();
    let mut lanes: Vec<Vec<Bar>> = Vec::new();
    let mut order: Vec<usize> = (0..timeline.operations.len()).collect();
    order.sort_by_key(|index| {
        let operation = &timeline.operations[*index];
        (
            operation.span(timeline.until),
            operation.audit,
            operation.ticket,
        )
    });
    for index in order {
        let operation = &timeline.operations[index];
        let place = *places
            .entry((operation.pid, &operation.command))
            .or_insert_with(|| {
                lanes.push(Vec::new());
                lanes.len() - 1
            });
        lanes[place].push(bar(timeline, index, scale));
    }
    lanes.into_iter().map(lane).collect()
}

fn bar(timeline: &Timeline, index: usize, scale: &Scale) -> Bar {
    let operation = &timeline.operations[index];
    let (begin, end) = operation.span(timeline.until);
    let mut from = scale.x(begin);
    let mut to = scale.x(end);
    let mut granted = operation.granted_at.map_or(to, |at| scale.x(at));
    // Where there is no room for it at the right edge, it begins earlier.
    if operation.granted_at.is_some() {
        granted = granted.min(scale.right() - BAR_LEAST);
        to = to.max(granted + BAR_LEAST);
        from = from.min(granted);
    } else {
        from = from.min(scale.right() - BAR_LEAST);
        to = to.max(from + BAR_LEAST);
        granted = to;
    }
    Bar {
        operation: index,
        from,
        granted,
        to,
        row: 0,
    }
}

/// Bars, in the order of their left ends, each in the first row that is free.
fn lane(mut bars: Vec<Bar>) -> Lane {
    bars.sort_by(|one, other| one.from.total_cmp(&other.from));
    let mut ends: Vec<f64> = Vec::new();
    for bar in &mut bars {
        let free = ends.iter().position(|end| *end <= bar.from);
        bar.row = free.unwrap_or(ends.len());
        match free {
            Some(row) => ends[row] = bar.to,
            None => ends.push(bar.to),
        }
    }
    let from = bars.first().map_or(0.0, |bar| bar.from);
    let to = ends.iter().copied().fold(from, f64::max);
    Lane {
        bars,
        row: 0,
        rows: ends.len(),
        from,
        to,
    }
}

/// Gives each lane a band of its own, from edge to edge; returns how many rows there are.
pub(super) fn stack(lanes: &mut [Lane], left: f64, right: f64) -> usize {
    let mut row = 0;
    for lane in lanes {
        lane.row = row;
        (lane.from, lane.to) = (left, right);
        row += lane.rows;
    }
    row
}

/// Puts lanes that do not meet into one band, each with room for its name: `name_width` pixels
/// behind it, or before it at the right edge; over it where neither side has it. Returns how many rows there are.
pub(super) fn pack(
    lanes: &mut [Lane],
    (left, right): (f64, f64),
    name_width: impl Fn(&Lane) -> f64,
) -> usize {
    // (rows of the band, its first row, where it is taken up to)
    let mut bands: Vec<(usize, usize, f64)> = Vec::new();
    let mut next = 0;
    for lane in lanes.iter_mut() {
        let width = name_width(lane);
        if lane.to + width <= right {
            lane.to += width;
        } else if lane.from - width >= left {
            lane.from -= width;
        }
    }
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    order.sort_by(|one, other| lanes[*one].from.total_cmp(&lanes[*other].from));
    for index in order {
        let lane = &mut lanes[index];
        let fits = |band: &(usize, usize, f64)| band.0 == lane.rows && band.2 + GAP <= lane.from;
        let place = bands.iter().position(fits).unwrap_or_else(|| {
            bands.push((lane.rows, next, 0.0));
            next += lane.rows;
            bands.len() - 1
        });
        lane.row = bands[place].1;
        bands[place].2 = lane.to;
    }
    next
}
