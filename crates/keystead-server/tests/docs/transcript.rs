//! What is typed and what is answered, as a document shows it.

use crate::block::Block;

/// A command of a transcript, and what the document says it answers.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// The line of the block that it begins at, counted from 0.
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) answer: Vec<&'a str>,
}

/// The steps of a transcript. A command goes on below a line that ends with a backslash.
pub(crate) fn steps(block: &Block) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut lines = block.lines().enumerate();
    while let Some((line, text)) = lines.next() {
        if let Some(typed) = text.strip_prefix("$ ") {
            let mut command = typed.to_owned();
            while command.ends_with('\\') {
                let (_, more) = lines.next().expect("a command goes on");
                command = format!("{command}\n{more}");
            }
            steps.push(Step { line, command, answer: Vec::new() });
        } else {
            let step = steps.last_mut();
            let step = step.unwrap_or_else(|| panic!("{}: no command", block.place()));
            step.answer.push(text);
        }
    }
    assert!(!steps.is_empty(), "{}: no command", block.place());
    steps
}

/// Whether an answer is as it is written: `...` in a line stands for anything, and a line with
/// nothing else for any number of lines.
pub(crate) fn matches(written: &[&str], answer: &[String]) -> bool {
    match (written, answer) {
        ([], answer) => answer.is_empty(),
        ([line, rest @ ..], answer) if line.trim() == "..." => {
            (0..=answer.len()).any(|skipped| matches(rest, answer.split_at(skipped).1))
        }
        ([line, rest @ ..], [first, others @ ..]) => {
            line_matches(line.trim_end(), first.trim_end()) && matches(rest, others)
        }
        (_, []) => false,
    }
}

fn line_matches(written: &str, answer: &str) -> bool {
    let Some((before, after)) = written.split_once("...") else { return written == answer };
    let Some(rest) = answer.strip_prefix(before) else { return false };
    let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.any(|at| line_matches(after, rest.split_at(at).1))
}

#[test]
fn an_answer_matches_what_is_written_and_nothing_else_does() {
    let answer: Vec<_> = ["a", "b 17 c", "d\r"].map(ToOwned::to_owned).into();
    for written in [
        &["a", "b 17 c", "d"][..],
        &["a", "b ... c", "d"],
        &["...", "d"],
        &["a", "..."],
        &["a", "b...", "...", "d"],
        &["...", "...d"],
    ] {
        assert!(matches(written, &answer), "{written:?}");
    }
    for written in [
        &["a", "b 17 c"][..],
        &["a", "b 17 c", "d", "e"],
        &["...", "c"],
        &["a", "b...17", "d"],
        &["A", "..."],
        &[],
    ] {
        assert!(!matches(written, &answer), "{written:?}");
    }
}
