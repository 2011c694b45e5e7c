//! What is wrong with a configuration, what is worth knowing about it, and where it was written.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody wrote it: the built-in default.
    Default,
    /// A configuration file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
    },
    /// The environment variable with this name.
    Variable(String),
    /// The command-line flag for this dotted path.
    Flag(String),
    /// The host program.
    Code,
}

impl Origin {
    /// By file position, then variables, flags and code.
    fn order(&self, other: &Self) -> Ordering {
        let key = |origin: &Self| match origin {
            Self::File { line, column, .. } => (0, *line, *column),
            Self::Variable(_) => (1, 0, 0),
            Self::Flag(_) => (2, 0, 0),
            Self::Code => (3, 0, 0),
            Self::Default => (4, 0, 0),
        };
        key(self).cmp(&key(other)).then_with(|| match (self, other) {
            (Self::Variable(a), Self::Variable(b)) | (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            _ => Ordering::Equal,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => {
                let path = path.to_string_lossy();
                write!(f, "{}:{line}:{column}", keystead_core::text::escaped(&path))
            }
            Self::Variable(name) => {
                write!(f, "variable {}", keystead_core::text::escaped(name))
            }
            Self::Flag(path) => write!(f, "flag {}", keystead_core::text::escaped(path)),
            Self::Code => f.write_str("code"),
        }
    }
}

/// What a mistake puts out of action.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Scope {
    /// The whole configuration: it stands outside every provider.
    Fatal,
    /// The provider with this name, and no other.
    Provider(String),
    /// One key of the provider with this name, which goes on with its other keys.
    Key(String),
}

/// One mistake in a configuration.
///
/// Its texts hold neither keys nor passwords nor neighbouring lines, and are safe to print.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The setting, as a dotted path. Empty: the file as a whole.
    pub path: String,
    /// Where it was written.
    pub origin: Origin,
    /// What was written, quoted and escaped. None where there is nothing to show, or where it may
    /// be a secret.
    pub value: Option<String>,
    /// What is wrong, in one sentence.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// What it puts out of action.
    pub scope: Scope,
}

impl Problem {
    /// In the order in which a reader meets them.
    pub(crate) fn sort(problems: &mut [Self]) {
        problems.sort_by(|a, b| a.origin.order(&b.origin).then_with(|| a.path.cmp(&b.path)));
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a configuration cannot be used at all: every mistake in it, in file order.
///
/// There is at least one with [`Scope::Fatal`]; the mistakes inside providers are listed too, so
/// that one reading suffices.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError(Vec<Problem>);

impl ConfigError {
    /// An error of these mistakes.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        Problem::sort(&mut problems);
        Self(problems)
    }

    /// Every mistake.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    /// Every mistake, to keep.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum NoticeLevel {
    /// Of use only to somebody who wonders, such as an ignored service link.
    Debug,
    /// Something the operator may not expect.
    Info,
    /// Something the operator should look at.
    Warning,
}

/// Something worth knowing about a configuration that is no mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// How much it matters.
    pub level: NoticeLevel,
    /// The setting, as a dotted path. Empty: none.
    pub path: String,
    /// Where it was written.
    pub origin: Origin,
    /// One sentence, safe to print.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text)
    }
}

/// What is wrong with one value; whoever reads the value knows its path and origin.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    pub(crate) problem: String,
    pub(crate) hint: Option<String>,
    pub(crate) value: Option<String>,
}

impl Wrong {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None, value: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    pub(crate) fn at(self, path: String, origin: Origin, scope: Scope) -> Problem {
        let Self { problem, hint, value } = self;
        Problem { path, origin, value, problem, hint, scope }
    }
}

/// What reading a configuration brings to light.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) origins: Vec<Shown>,
}

/// One value with its origin, as it may be shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) path: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}
