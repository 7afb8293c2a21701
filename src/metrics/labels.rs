//! The values that labels may take: closed sets, each declared once. Nothing that a caller sends becomes a label.

/// Declares a closed set: an enum, the values of its label in the same order, and their places.
macro_rules! closed_sets {
    ($($(#[doc = $doc:literal])* $set:ident { $($(#[doc = $meaning:literal])* $variant:ident = $name:literal,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $set { $($(#[doc = $meaning])* $variant),* }

        impl $set {
            /// The values of the label, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The value of the label.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Its place among them.
            pub const fn at(self) -> usize {
                self as usize
            }
        }
    )*};
}

closed_sets! {
    /// The method of a request; `other` for what is no method of HTTP's.
    HttpMethod {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// PATCH.
        Patch = "PATCH",
        /// DELETE.
        Delete = "DELETE",
        /// OPTIONS.
        Options = "OPTIONS",
        /// Any other.
        Other = "other",
    }

    /// The class of an answer's status.
    StatusClass {
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 to 599.
        ServerError = "5xx",
        /// The caller hung up before its answer.
        Abandoned = "none",
    }

    /// What became of a login whose password was looked at.
    LoginOutcome {
        /// A session was opened.
        Success = "success",
        /// No account has this identifier and this password, or it is disabled.
        Wrong = "wrong",
        /// Too many wrong passwords: this one was not looked at.
        Throttled = "throttled",
        /// Too many passwords are waiting for their hash.
        Busy = "busy",
        /// The database, the keys or the memory of the hash failed.
        Failed = "failed",
    }

    /// What became of a sign-up whose fields were good.
    SignUpOutcome {
        /// The account was made, or had been by the same request before.
        Success = "success",
        /// An account has this address already.
        Taken = "taken",
        /// The `Idempotency-Key` was used for something else.
        KeyReused = "key_reused",
        /// Too many wrong passwords, of a sign-up that is repeated.
        Throttled = "throttled",
        /// Too many passwords are waiting for their hash.
        Busy = "busy",
        /// The database or the memory of the hash failed.
        Failed = "failed",
    }

    /// What became of a refresh.
    RefreshOutcome {
        /// New tokens.
        Success = "success",
        /// The token is good for nothing (any more).
        Refused = "refused",
        /// A spent token came again: its session was ended.
        Reuse = "reuse",
        /// The scope asked for was not granted.
        Scope = "scope",
        /// The session is refreshed again and again.
        TooOften = "too_often",
        /// The database or the keys failed.
        Failed = "failed",
    }

    /// Why a password was not hashed.
    HashRefusal {
        /// The queue was full.
        Full = "full",
        /// Its turn did not come in time.
        Late = "late",
    }

    /// What was asked of the database.
    Operation {
        /// A transaction that reads.
        Read = "read",
        /// A transaction that writes, up to its commit.
        Write = "write",
        /// A look at what other servers have changed.
        Look = "look",
    }

    /// Where a signing key stands.
    KeyState {
        /// Published, does not sign yet.
        Next = "next",
        /// Signs.
        Active = "active",
        /// Signs no more.
        Retired = "retired",
        /// Signs no more and is not published; `GET /jwks` still answers with it.
        Kept = "kept",
    }

    /// Tables whose rows expire.
    SweptTable {
        /// Sessions.
        Sessions = "sessions",
        /// Counts of wrong passwords.
        Guesses = "guesses",
        /// Networks that accounts know.
        KnownNetworks = "known_networks",
        /// API keys.
        ApiKeys = "api_keys",
        /// Audit events.
        AuditEvents = "audit_events",
    }

    /// What the server does by itself.
    Job {
        /// Following ended sessions.
        Look = "look",
        /// Following the signing keys.
        LookAtKeys = "look at keys",
        /// Asking whether the database is there.
        Health = "health",
        /// Rotating the signing keys.
        Rotate = "rotate",
        /// Chaining the audit trail.
        Seal = "seal",
        /// Learning what checking a password costs for the accounts there are.
        LearnCosts = "learn costs",
        /// Deleting what is over.
        Sweep = "sweep",
        /// Looking at what metrics show of the database.
        Measure = "measure",
    }

    /// How an event of the audit trail went.
    EventOutcome {
        /// It was done.
        Success = "success",
        /// It was refused.
        Refused = "refused",
    }

    /// The limit that refused a request.
    LimitClass {
        /// Making accounts.
        SignUp = "sign-up",
        /// Checking passwords.
        LogIn = "log-in",
        /// What apps do with tokens.
        Token = "token",
        /// Changing an account.
        Change = "change",
    }

    /// What became of a span.
    SpanOutcome {
        /// The collector took it.
        Exported = "exported",
        /// Too many were waiting, or were inside one request.
        Dropped = "dropped",
        /// The collector was away or refused it.
        Failed = "failed",
    }

    /// The engine of the database.
    Engine {
        /// SQLite.
        Sqlite = "sqlite",
        /// PostgreSQL.
        Postgres = "postgres",
    }
}

impl HttpMethod {
    /// That of a request, by its name.
    pub fn of(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

impl StatusClass {
    /// That of a status; a caller that hung up got none.
    pub fn of(status: Option<u16>) -> Self {
        match status {
            Some(..300) => Self::Success,
            Some(..400) => Self::Redirection,
            Some(..500) => Self::ClientError,
            Some(_) => Self::ServerError,
            None => Self::Abandoned,
        }
    }
}
