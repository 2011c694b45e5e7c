//! Reads the settings of one section, noting origins, blanks and mistakes on the way.

use super::error::{Findings, Notice, NoticeLevel, Origin, Scope, Shown, Wrong};
use super::layers::Section;
use super::raw::{Entry, Kind, Node};
use super::settings::{self, Place, Shape};
use super::value::{listed, shown, shown_url};

/// A reader of one section.
pub(super) struct Reader<'a> {
    /// What paths begin with. Empty: the top.
    pub(super) prefix: String,
    pub(super) place: Place,
    pub(super) own: &'a Section,
    /// Read where `own` says nothing; its mistakes were reported when it was read itself.
    pub(super) fallback: Option<&'a Section>,
    pub(super) scope: Scope,
    pub(super) findings: &'a mut Findings,
}

impl<'a> Reader<'a> {
    /// The value of a setting, if one is written that is right and not blank.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Node) -> Result<T, Wrong>,
    ) -> Option<T> {
        let (node, own) = self.node(name)?;
        let read = parse(node);
        read.map_err(|wrong| self.report(name, node, own, wrong)).ok()
    }

    /// The values of a setting that is a list or one value. Blank elements are passed over.
    pub(super) fn read_each<T>(
        &mut self,
        name: &'static str,
        mut parse: impl FnMut(&Node) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let (node, own) = self.node(name)?;
        let mut values = Vec::new();
        for item in node.items() {
            if item.is_blank() {
                self.notice(name, item, own, "one of its elements is blank and left out");
                continue;
            }
            match parse(item) {
                Ok(value) => values.push(value),
                Err(wrong) => self.report(name, item, own, wrong),
            }
        }
        Some(values)
    }

    /// The entries of a setting that is a map. Blank ones are passed over.
    pub(super) fn read_entries<T>(
        &mut self,
        name: &'static str,
        mut parse: impl FnMut(&Entry) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let (node, own) = self.node(name)?;
        let Kind::Map(entries) = &node.kind else {
            let hint = settings::find(self.place, name).map_or("", |s| s.shape.text_hint());
            let wrong = Wrong::new(format!("expected a map, found {}", node.kind_name()));
            self.report(name, node, own, wrong.hint(hint));
            return None;
        };
        let mut values = Vec::new();
        for entry in entries {
            if entry.value.is_blank() {
                self.notice(name, &entry.value, own, "one of its entries is blank and left out");
                continue;
            }
            match parse(entry) {
                Ok(value) => values.push(value),
                Err(wrong) => self.report(name, &entry.value, own, wrong),
            }
        }
        Some(values)
    }

    /// Reports a list that has no elements.
    pub(super) fn refuse_empty(&mut self, name: &'static str, wrong: Wrong) {
        if let Some(node) = self.own.node(name).filter(|node| node.items().is_empty()) {
            self.report(name, node, true, wrong);
        }
    }

    /// The path of a setting.
    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    /// What is written for a setting, unless it is blank, and whether it is this section's own.
    fn node(&mut self, name: &'static str) -> Option<(&'a Node, bool)> {
        let setting = settings::find(self.place, name);
        debug_assert!(setting.is_some(), "{name} stands in the table");
        let own = self.own.node(name);
        let node = own.or_else(|| self.fallback?.node(name));
        let value = match node.filter(|node| !node.is_blank()) {
            Some(node) => node_shown(node, setting.map_or(Shape::Keys, |s| s.shape)),
            None => setting.map_or("", |s| s.default).to_owned(),
        };
        let path = self.path(name);
        let origin = node.map_or(Origin::Default, |node| node.origin.clone());
        self.findings.origins.push(Shown { path, value, origin });
        let node = node?;
        if node.is_blank() {
            let text = "it is blank, which takes the setting away";
            self.notice(name, node, own.is_some(), text);
            return None;
        }
        Some((node, own.is_some()))
    }

    fn report(&mut self, name: &'static str, node: &Node, own: bool, mut wrong: Wrong) {
        if !own {
            return;
        }
        if let (None, Kind::Text(_)) = (&wrong.value, &node.kind) {
            let shape = settings::find(self.place, name).map_or(Shape::Keys, |s| s.shape);
            let secret = matches!(shape, Shape::Keys | Shape::Secrets);
            wrong.value = Some(node_shown(node, shape)).filter(|_| !secret);
        }
        let problem = wrong.at(self.path(name), node.origin.clone(), self.scope.clone());
        self.findings.problems.push(problem);
    }

    fn notice(&mut self, name: &str, node: &Node, own: bool, text: &str) {
        if own {
            let path = self.path(name);
            let (level, origin) = (NoticeLevel::Info, node.origin.clone());
            self.findings.notices.push(Notice { level, path, origin, text: text.to_owned() });
        }
    }
}

/// A value as it may be shown.
fn node_shown(node: &Node, shape: Shape) -> String {
    match (&node.kind, shape) {
        (_, Shape::Keys) => "key text".to_owned(),
        (Kind::Null, _) => String::new(),
        (Kind::Text(_) | Kind::List(_), Shape::Secrets) => "a value that is not shown".to_owned(),
        (Kind::Text(text), Shape::Url | Shape::Urls) => shown_url(text),
        (Kind::Text(text), _) => shown(text),
        (Kind::List(items), _) => {
            format!("[{}]", listed(items.iter().map(|item| node_shown(item, shape))))
        }
        (Kind::Map(entries), _) => format!("a map of {}", entries.len()),
    }
}
