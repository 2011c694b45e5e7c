//! The words that metrics count by. The set of each is fixed: nothing a token holds is among them.

/// A way in, as metrics and logs name it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Face {
    /// The question of a proxy, `/v1/auth/forward`.
    ForwardAuth,
    /// The question of a service, `/v1/verify`.
    Verify,
}

impl Face {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ForwardAuth, Self::Verify];

    /// The face in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForwardAuth => "forward_auth",
            Self::Verify => "verify",
        }
    }
}

/// What a face answered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Verdict {
    /// The token is accepted.
    Allow,
    /// The request is refused.
    Refuse,
}

impl Verdict {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Refuse];

    /// The verdict in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
        }
    }
}

/// What became of a token whose `kid` no key has.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum UnknownKid {
    /// It waited for an attempt that was under way already.
    Joined,
    /// It had the keys fetched out of turn.
    Refetched,
    /// Neither: the budget was spent, the kid was asked for in vain not long ago, or there was
    /// nobody to ask.
    Suppressed,
}

impl UnknownKid {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Joined, Self::Refetched, Self::Suppressed];

    /// The outcome in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Refetched => "refetched",
            Self::Suppressed => "suppressed",
        }
    }
}

/// What kind of document is fetched.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DocumentKind {
    /// Provider metadata.
    Discovery,
    /// A JWK Set.
    Jwks,
}

impl DocumentKind {
    /// The kind in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_in_its_list_once() {
        fn unique<const N: usize>(words: [&str; N]) {
            assert_eq!(std::collections::HashSet::from(words).len(), N);
        }
        unique(Face::ALL.map(Face::as_str));
        unique(Verdict::ALL.map(Verdict::as_str));
        unique(UnknownKid::ALL.map(UnknownKid::as_str));
        unique([DocumentKind::Discovery, DocumentKind::Jwks].map(DocumentKind::as_str));
    }
}
