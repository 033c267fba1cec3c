//! The rules by which changes are found, one by one, so that the proof can switch one off and see that it matters.

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// What does not parse changes everything.
    Unreadable,
    /// CALL, DO and EXECUTE change everything.
    Hidden,
    /// A statement whose rows are not told changes its table as a whole.
    Untold,
    /// Parts of a WITH change rows, too.
    Parts,
    /// An update that sets the key changes the old one, too.
    OldKeys,
    /// SQLite's rowid is the key by another name.
    Rowid,
    /// A replacement changes the rows that it makes room for, too.
    Replaced,
    /// Foreign keys pass changes on.
    ForeignKeys,
    /// Triggers change rows.
    Triggers,
    /// Triggers give rows other keys.
    Rekeying,
    /// A view's change is one of the tables that it reads, and theirs is one of it.
    Views,
    /// Rows of heirs and parts are those of their ancestors, too.
    Inheritance,
    /// Rules of PostgreSQL's change rows.
    Rewriting,
    /// Functions change rows.
    Functions,
    /// A batch changes what its statements change.
    Batches,
    /// What a released savepoint has changed is changed by its transaction.
    Savepoints,
    /// What came before an error may stay.
    BeforeError,
    /// A text has several spellings where the collation says so.
    Spellings,
    /// Changes of the schema move rows.
    Schema,
    /// A new row is found by its values (MySQL family).
    NewRows,
}

impl Rule {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Unreadable,
        Self::Hidden,
        Self::Untold,
        Self::Parts,
        Self::OldKeys,
        Self::Rowid,
        Self::Replaced,
        Self::ForeignKeys,
        Self::Triggers,
        Self::Rekeying,
        Self::Views,
        Self::Inheritance,
        Self::Rewriting,
        Self::Functions,
        Self::Batches,
        Self::Savepoints,
        Self::BeforeError,
        Self::Spellings,
        Self::Schema,
        Self::NewRows,
    ];

    /// Whether changes are found by it.
    #[cfg(feature = "oracle")]
    pub(crate) fn applies(self) -> bool {
        OFF.load(std::sync::atomic::Ordering::Relaxed) & self.bit() == 0
    }

    /// Whether changes are found by it.
    #[cfg(not(feature = "oracle"))]
    #[inline]
    pub(crate) const fn applies(self) -> bool {
        true
    }

    #[cfg(feature = "oracle")]
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

#[cfg(feature = "oracle")]
static OFF: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// From now on this process finds no change by this rule: connections made before have plans and catalogs that do.
#[cfg(feature = "oracle")]
pub fn switch_off(rule: Rule) {
    OFF.fetch_or(rule.bit(), std::sync::atomic::Ordering::Relaxed);
}

/// All rules apply again.
#[cfg(feature = "oracle")]
pub fn reset() {
    OFF.store(0, std::sync::atomic::Ordering::Relaxed);
}
