//! Samples, ratios, and the one table.

use serde_json::{Value, json};

/// Measured values of one thing, in one unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn extend(&mut self, values: impl IntoIterator<Item = f64>) {
        self.0.extend(values);
    }

    /// The value that `share` of all are not above; 0.5 is the median.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// What the ratio should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    /// For comparison only.
    Nothing,
}

/// One row: a quantity of ours, a yardstick, and what their ratio should be.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) quantity: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) yardstick: String,
    pub(crate) theirs: f64,
    pub(crate) wanted: Wanted,
    pub(crate) samples: usize,
}

impl Figure {
    /// The medians of two samples.
    pub(crate) fn medians(
        quantity: &str,
        unit: &'static str,
        ours: &Sample,
        yardstick: &str,
        theirs: &Sample,
        wanted: Wanted,
    ) -> Self {
        Self {
            quantity: quantity.to_owned(),
            unit,
            ours: ours.median(),
            yardstick: yardstick.to_owned(),
            theirs: theirs.median(),
            wanted,
            samples: ours.count(),
        }
    }

    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    fn is_met(&self) -> Option<bool> {
        match self.wanted {
            Wanted::AtMost(limit) => Some(self.ratio() <= limit),
            Wanted::AtLeast(limit) => Some(self.ratio() >= limit),
            Wanted::Nothing => None,
        }
    }

    fn cells(&self) -> [String; 7] {
        let wanted = match self.wanted {
            Wanted::AtMost(limit) => format!("≤ {limit}"),
            Wanted::AtLeast(limit) => format!("≥ {limit}"),
            Wanted::Nothing => String::new(),
        };
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        [
            self.quantity.clone(),
            format!("{} {}", short(self.ours), self.unit),
            self.yardstick.clone(),
            format!("{} {}", short(self.theirs), self.unit),
            short(self.ratio()),
            wanted,
            met.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let wanted = match self.wanted {
            Wanted::AtMost(limit) => json!({"atMost": limit}),
            Wanted::AtLeast(limit) => json!({"atLeast": limit}),
            Wanted::Nothing => Value::Null,
        };
        json!({
            "quantity": self.quantity,
            "unit": self.unit,
            "ours": self.ours,
            "yardstick": self.yardstick,
            "theirs": self.theirs,
            "ratio": self.ratio(),
            "wanted": wanted,
            "met": self.is_met(),
            "samples": self.samples,
        })
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    if value.is_nan() {
        return "-".to_owned();
    }
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

/// Prints the table, then everything as JSON.
pub(crate) fn print(machine: &Value, figures: &[Figure]) {
    let head = [
        "quantity",
        "plandex",
        "yardstick",
        "its value",
        "ratio",
        "wanted",
        "met",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(figures.iter().map(Figure::cells));
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
        if number == 0 {
            let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            println!("{}", lines.join("  "));
        }
    }
    let figures: Vec<Value> = figures.iter().map(Figure::json).collect();
    let document = json!({"schemaVersion": 1, "machine": machine, "figures": figures});
    println!("\n{document:#}");
}
