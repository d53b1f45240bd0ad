//! Permits: a held ticket in the type system.

use super::Scope;

/// The proof that a ticket was granted: made by the granting SQL only, never copied.
#[derive(Debug)]
pub struct Proof {
    pub(super) ticket: i64,
    pub(super) fence: i64,
    pub(super) plan_id: String,
    pub(super) branch: Option<String>,
    /// Whether it works below a hold, which must be held too.
    pub(super) has_parent: bool,
    /// The hold of its plan that it queued below; 0 for the plan's own line.
    pub(super) below: i64,
    /// Whether its command was given a token, so that others may work below it.
    pub(super) hands_on: bool,
}

impl Proof {
    /// The ticket's number.
    pub fn ticket(&self) -> i64 {
        self.ticket
    }

    /// The number of this grant, larger than every earlier one's.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// A second one of the same grant, to release it with when the permit is gone: it opens no door.
    pub(crate) fn for_release(&self) -> Self {
        Self {
            plan_id: self.plan_id.clone(),
            branch: self.branch.clone(),
            ..*self
        }
    }

    /// The plan that is held.
    pub fn plan_id(&self) -> &str {
        &self.plan_id
    }

    /// The branch of a read.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }
}

pub(super) mod sealed {
    /// Made from a proof, which only the granting SQL makes.
    pub trait Mint: Sized + Send + Sync + 'static {
        fn mint(proof: super::Proof) -> Self;
    }
}

/// A held ticket in the type system. There is no other way to one than the granting SQL:
///
/// ```compile_fail
/// use plandex::store::tickets::WritePermit;
/// let forged = WritePermit { proof: todo!() };
/// ```
///
/// ```compile_fail
/// fn twice(permit: &plandex::store::tickets::WritePermit) -> plandex::store::tickets::WritePermit {
///     permit.clone()
/// }
/// ```
///
/// and a read permit does not open the writing door:
///
/// ```compile_fail
/// use plandex::store::{Store, tickets::ReadPermit};
/// fn write(store: &Store, permit: &ReadPermit) {
///     let _ = store.write(permit, |_| Ok(()));
/// }
/// ```
pub trait Permit: sealed::Mint {
    /// The scope its ticket has.
    const SCOPE: Scope;

    /// The proof inside.
    fn proof(&self) -> &Proof;
}

macro_rules! permit {
    ($(#[$doc:meta])* $name:ident, $scope:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use]
        pub struct $name {
            proof: Proof,
        }

        impl sealed::Mint for $name {
            fn mint(proof: Proof) -> Self {
                Self { proof }
            }
        }

        impl Permit for $name {
            const SCOPE: Scope = $scope;
            fn proof(&self) -> &Proof {
                &self.proof
            }
        }
    };
}

permit! {
    /// The plan is ours alone.
    WritePermit, Scope::Write
}
permit! {
    /// The branch stands still while we look.
    ReadPermit, Scope::Read
}
permit! {
    /// A read ticket under which context may be added.
    AppendPermit, Scope::Read
}
