//! A picture of the queue: who waited, who held, how each ended. One lane a process.
//!
//! Pure: it makes text, and whoever asks for it writes the file. The picture is whole in itself:
//! no script, no font, nothing from elsewhere. Whatever a command line holds is text in it, never
//! markup (`xml`).

mod axis;
mod lanes;
mod svg;

use jiff::tz::TimeZone;

pub use svg::{html, svg};

/// Stands in the first line of each picture, so that it can be told from any other file.
pub const MARK: &str = "<!-- plandex timeline -->";

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It waits.
    Waits,
    /// It holds.
    Holds,
    /// Its work was done or given up.
    Released,
    /// It was called off.
    Cancelled,
    /// Its wait was over.
    TimedOut,
    /// Its owner hung past the lease.
    LeaseExpired,
    /// Its process ended under it.
    OwnerDied,
    /// Somebody took it away.
    Forced,
    /// It was granted and nobody took the turn up.
    Unconfirmed,
    /// It would have closed a circle of waits.
    Deadlock,
    /// The hold that it worked below ended.
    ParentEnded,
    /// Otherwise, or nobody wrote down how.
    Other,
}

/// Every end, in the order of the legend.
const ENDS: [End; 12] = [
    End::Released,
    End::Holds,
    End::Waits,
    End::Cancelled,
    End::TimedOut,
    End::OwnerDied,
    End::LeaseExpired,
    End::Forced,
    End::Unconfirmed,
    End::Deadlock,
    End::ParentEnded,
    End::Other,
];

impl End {
    /// What people read, and the name of its class.
    fn word(self) -> (&'static str, &'static str) {
        match self {
            Self::Waits => ("still waits", "waits"),
            Self::Holds => ("still holds", "holds"),
            Self::Released => ("released", "released"),
            Self::Cancelled => ("cancelled", "cancelled"),
            Self::TimedOut => ("timed out", "timed-out"),
            Self::LeaseExpired => ("lease expired", "lease-expired"),
            Self::OwnerDied => ("owner died", "owner-died"),
            Self::Forced => ("forced", "forced"),
            Self::Unconfirmed => ("unconfirmed", "unconfirmed"),
            Self::Deadlock => ("deadlock", "deadlock"),
            Self::ParentEnded => ("parent ended", "parent-ended"),
            Self::Other => ("ended otherwise", "other"),
        }
    }

    /// Told apart without seeing red and green, too: dark blue, light orange and their kin (after
    /// Okabe and Ito).
    fn colour(self) -> &'static str {
        match self {
            Self::Waits => "#94a3b8",
            Self::Holds => "#009e73",
            Self::Released => "#0072b2",
            Self::Cancelled => "#7f7f7f",
            Self::TimedOut => "#e69f00",
            Self::LeaseExpired => "#8c2d04",
            Self::OwnerDied => "#d55e00",
            Self::Forced => "#8e44ad",
            Self::Unconfirmed => "#cc79a7",
            Self::Deadlock => "#56b4e9",
            Self::ParentEnded => "#b8a500",
            Self::Other => "#333333",
        }
    }
}

/// One operation. Times are wall milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The number of its row in the audit; `None` for one that waits and has none yet.
    pub audit: Option<i64>,
    /// Its ticket.
    pub ticket: i64,
    /// The process.
    pub pid: u32,
    /// The process's command.
    pub command: String,
    /// Who it was for.
    pub actor: String,
    /// The plan's name.
    pub plan: String,
    /// The branch of a read.
    pub branch: Option<String>,
    /// What it did.
    pub title: String,
    /// Whether it changed the plan.
    pub is_write: bool,
    /// When it came.
    pub queued_at: i64,
    /// When it had its turn.
    pub granted_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How.
    pub end: End,
    /// Who forced it.
    pub ended_by: Option<String>,
}

impl Operation {
    /// Where its bar begins and ends, in a picture that ends at `until`. Clocks are set back at
    /// times: nothing ends before it begins.
    fn span(&self, until: i64) -> (i64, i64) {
        let is_going_on = matches!(self.end, End::Waits | End::Holds);
        let unknown = self.granted_at.unwrap_or(self.queued_at);
        let last = self
            .ended_at
            .unwrap_or(if is_going_on { until } else { unknown });
        let begin = self
            .queued_at
            .min(self.granted_at.unwrap_or(self.queued_at));
        (begin, last.max(self.granted_at.unwrap_or(begin)).max(begin))
    }
}

/// What is drawn.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// What of: the project.
    pub title: String,
    /// Where the time axis begins; the first operation's beginning if it is later.
    pub from: i64,
    /// Where it ends: now.
    pub until: i64,
    /// In any order.
    pub operations: Vec<Operation>,
    /// Whether earlier ones were left out.
    pub is_more: bool,
    /// In which times are shown.
    pub zone: TimeZone,
}

/// Text as the content or the quoted attribute of XML and HTML.
fn xml(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in crate::ui::escape::line(text).chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            // No characters in XML, escaped or not.
            '\u{fffe}' => shown.push_str("\\u{fffe}"),
            '\u{ffff}' => shown.push_str("\\u{ffff}"),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
