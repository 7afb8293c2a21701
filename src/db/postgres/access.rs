//! What a transaction is for, and the words it begins with.

use std::time::Duration;

/// The longest that a step of a migration may run.
const MIGRATION: Duration = Duration::from_secs(300);

/// How long it may wait for a table; all who come after it wait for as long.
const MIGRATION_LOCK: Duration = Duration::from_secs(3);

/// How long a transaction may rest between two statements, with all that it holds.
const IDLE: Duration = Duration::from_secs(2);

/// The same while what was read is written to wherever a backup goes.
const WRITTEN_OUT: Duration = Duration::from_secs(600);

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads one moment.
    Read,
    /// The same for a backup, which reads everything and writes it out meanwhile.
    Snapshot,
    /// Changes; each statement sees what was committed last.
    Write,
    /// The same with one statement, which changes nothing if it is run again.
    Swap,
    /// Changes as if it were alone.
    Serializable,
    /// The same, with time to change the schema.
    Migrate,
}

impl Access {
    /// The longest that a statement may run, where others may run for `usual`.
    pub(super) fn most(self, usual: Duration) -> Duration {
        if self == Self::Migrate { MIGRATION } else { usual }
    }

    /// What begins it, with all that it needs: for this transaction alone, since a pooler gives the connection to
    /// others afterwards.
    pub(super) fn opening(self, usual: Duration, forgetful: bool, genuine: bool) -> String {
        let mode = match self {
            Self::Read | Self::Snapshot => "ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Write | Self::Swap => "ISOLATION LEVEL READ COMMITTED READ WRITE",
            Self::Serializable | Self::Migrate => "ISOLATION LEVEL SERIALIZABLE READ WRITE",
        };
        let most = self.most(usual);
        let milliseconds = most.as_millis();
        let idle = match self {
            Self::Migrate => most,
            Self::Snapshot => WRITTEN_OUT,
            Self::Read | Self::Write | Self::Swap | Self::Serializable => IDLE,
        };
        let idle = idle.as_millis();
        let locked = most.min(MIGRATION_LOCK).mul_f32(0.9).as_millis();
        let mut sql = format!(
            "BEGIN {mode}; SET LOCAL statement_timeout = {milliseconds}; \
            SET LOCAL idle_in_transaction_session_timeout = {idle}; SET LOCAL lock_timeout = {locked}"
        );
        if forgetful && !matches!(self, Self::Read | Self::Snapshot) {
            sql.push_str("; SET LOCAL synchronous_commit = on");
        }
        if genuine {
            sql.push_str(self.plans());
        }
        sql
    }

    /// How PostgreSQL itself shall plan. Compiling takes longer than any statement here. Where transactions are to
    /// be as if alone, a scan of an index holds what it read and a scan of a table all of it, so that they would
    /// fail for nothing.
    fn plans(self) -> &'static str {
        match self {
            Self::Serializable => "; SET LOCAL jit = off; SET LOCAL enable_seqscan = off",
            Self::Read | Self::Snapshot | Self::Write | Self::Swap | Self::Migrate => "; SET LOCAL jit = off",
        }
    }
}
