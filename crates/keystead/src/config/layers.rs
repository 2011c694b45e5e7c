//! The layers laid over each other: file, then variables, then flags. The last one written wins,
//! and a blank one hides what lies below.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keystead_core::text::escaped;

use super::error::{Findings, Origin, Problem, Scope, Wrong};
use super::raw::{Entry, Kind, Node};
use super::settings::{self, Place, SECTIONS, Setting};
use super::unknown::{ignored, place_of, unknown_name, unknown_path};
use super::value::shown_name;

/// What variables of ours begin with.
pub(super) const PREFIX: &str = "KEYSTEAD_";

/// The settings written in one map, by name.
#[derive(Debug, Default)]
pub(super) struct Section(BTreeMap<&'static str, Node>);

impl Section {
    /// The setting with this name, as the highest layer wrote it.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.0.get(name)
    }
}

/// Everything that is written, sorted by section.
#[derive(Debug, Default)]
pub(super) struct Layered {
    pub(super) top: Section,
    pub(super) log: Section,
    pub(super) limits: Section,
    pub(super) defaults: Section,
    pub(super) providers: BTreeMap<String, WrittenProvider>,
    /// Provider names by the form that variables know them in.
    folded: HashMap<String, BTreeSet<String>>,
}

/// One provider as it is written.
#[derive(Debug)]
pub(super) struct WrittenProvider {
    /// Where its name was written first.
    pub(super) named_at: Origin,
    pub(super) section: Section,
    /// Mistakes in the names of its settings.
    pub(super) problems: Vec<Problem>,
}

/// Where a dotted path leads.
enum Target {
    Setting(&'static Setting),
    Provider(String, &'static Setting),
}

impl Layered {
    /// Lays a file's tree at the bottom. False: it is no map, so that nobody knows what it says.
    pub(super) fn file(&mut self, root: &Node, findings: &mut Findings) -> bool {
        let entries = match &root.kind {
            Kind::Null => return true,
            Kind::Map(entries) => entries,
            _ => {
                let wrong = Wrong::new(format!("expected a map, found {}", root.kind_name()))
                    .hint("write settings such as \"providers:\" at the top");
                let problem = wrong.at(String::new(), root.origin.clone(), Scope::Fatal);
                findings.problems.push(problem);
                return false;
            }
        };
        let problems = &mut findings.problems;
        for entry in unique(entries, "", &Scope::Fatal, problems) {
            if !SECTIONS.contains(&entry.name.as_str()) {
                insert(&mut self.top, Place::Top, entry, "", &Scope::Fatal, problems);
                continue;
            }
            let Some(inner) = entries_of(entry, &entry.name, &Scope::Fatal, problems) else {
                continue;
            };
            if entry.name == "providers" {
                self.file_providers(inner);
            } else if let Some((section, place)) = self.section(&entry.name) {
                for inner in unique(inner, &entry.name, &Scope::Fatal, problems) {
                    insert(section, place, inner, &entry.name, &Scope::Fatal, problems);
                }
            }
        }
        true
    }

    fn file_providers(&mut self, entries: &[Entry]) {
        for entry in entries {
            let path = provider_path(&entry.name);
            let scope = Scope::Provider(entry.name.clone());
            if let Some(first) = self.providers.get_mut(&entry.name) {
                let problem = twice(&entry.name, &first.named_at);
                first.problems.push(problem.at(path, entry.origin.clone(), scope));
                continue;
            }
            let provider = self.provider(&entry.name, &entry.origin);
            let mut mistakes = Vec::new();
            if let Some(inner) = entries_of(entry, &path, &scope, &mut mistakes) {
                for inner in unique(inner, &path, &scope, &mut mistakes) {
                    let section = &mut provider.section;
                    insert(section, Place::Provider, inner, &path, &scope, &mut mistakes);
                }
            }
            provider.problems.append(&mut mistakes);
        }
    }

    /// Lays the environment over the file. Variables that are not ours are passed over.
    pub(super) fn variables(&mut self, variables: &[(String, String)], findings: &mut Findings) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let rest = rest.to_ascii_lowercase();
            let segments: Vec<&str> = rest.split("__").collect();
            let origin = Origin::Variable(name.clone());
            match segments.as_slice() {
                ["config"] => continue,
                [single] if !is_setting_variable(single) => {
                    findings.notices.push(ignored(name, single, origin));
                    continue;
                }
                _ => {}
            }
            let path = segments.join(".").replace('-', "_");
            if let Some(other) = seen.insert(path, name).filter(|other| other != name) {
                let wrong = Wrong::new(format!("it names the same setting as {}", escaped(other)))
                    .hint("remove one of the two variables");
                let wrong = wrong.at(escaped(&segments.join(".")), origin, Scope::Fatal);
                self.report(&segments, wrong, findings);
                continue;
            }
            self.put(&segments, value, origin, findings);
        }
    }

    /// Lays the flags over everything; the later of two for one path wins.
    pub(super) fn flags(&mut self, flags: &[(String, String)], findings: &mut Findings) {
        for (path, value) in flags {
            let segments: Vec<&str> = path.split('.').collect();
            self.put(&segments, value, Origin::Flag(path.clone()), findings);
        }
    }

    /// Providers whose names variables cannot tell apart: the later ones are in the way.
    pub(super) fn find_clashes(&mut self) {
        for names in self.folded.values() {
            let mut names = names.iter();
            let Some(first) = names.next() else { continue };
            for name in names {
                let Some(provider) = self.providers.get_mut(name) else { continue };
                let wrong = Wrong::new(format!(
                    "variables cannot tell its name from {}",
                    shown_name(first)
                ))
                .hint("rename one of the two providers");
                let scope = Scope::Provider(name.clone());
                let at = provider.named_at.clone();
                provider.problems.push(wrong.at(provider_path(name), at, scope));
            }
        }
    }

    fn put(&mut self, segments: &[&str], value: &str, origin: Origin, findings: &mut Findings) {
        let path = segments.join(".");
        let target = match self.target(segments, &origin) {
            Ok(target) => target,
            Err(wrong) => {
                let problem = wrong.at(escaped(&path), origin, Scope::Fatal);
                return self.report(segments, problem, findings);
            }
        };
        let (setting, section) = match target {
            Target::Setting(setting) => (setting, self.section_of(setting, segments)),
            Target::Provider(name, setting) => {
                (setting, &mut self.provider(&name, &origin).section)
            }
        };
        match Node::from_text(value, setting.shape, origin.clone()) {
            Ok(node) => {
                section.0.insert(setting.name, node);
            }
            Err(wrong) => {
                let problem = wrong.at(escaped(&path), origin, Scope::Fatal);
                self.report(segments, problem, findings);
            }
        }
    }

    /// Reports to the provider that a path names, or else to the whole.
    fn report(&mut self, segments: &[&str], mut problem: Problem, findings: &mut Findings) {
        match segments {
            ["providers", name, _, ..] if !name.is_empty() => {
                let known = self.known(name);
                let names = if known.is_empty() { vec![(*name).to_owned()] } else { known };
                for name in names {
                    problem.scope = Scope::Provider(name.clone());
                    let provider = self.provider(&name, &problem.origin);
                    provider.problems.push(problem.clone());
                }
            }
            _ => findings.problems.push(problem),
        }
    }

    fn target(&self, segments: &[&str], origin: &Origin) -> Result<Target, Wrong> {
        let written = |path: &str| match origin {
            Origin::Variable(_) => {
                escaped(&format!("{PREFIX}{}", path.to_uppercase().replace('.', "__")))
            }
            _ => escaped(path),
        };
        match segments {
            [name] => {
                if let Some(setting) = settings::find(Place::Top, name) {
                    return Ok(Target::Setting(setting));
                }
                if SECTIONS.contains(name) {
                    let example = match *name {
                        "providers" => "providers.NAME.issuer",
                        "log" => "log.level",
                        "limits" => "limits.token",
                        _ => "defaults.leeway",
                    };
                    return Err(Wrong::new("it holds settings and is none itself")
                        .hint(format!("write {}", written(example))));
                }
            }
            ["providers", name, setting] if !name.is_empty() => {
                if let Some(setting) = settings::find(Place::Provider, setting) {
                    return self.one_provider(name, origin).map(|n| Target::Provider(n, setting));
                }
            }
            [section, name] => {
                let place = place_of(section);
                if let Some(setting) = place.and_then(|place| settings::find(place, name)) {
                    return Ok(Target::Setting(setting));
                }
            }
            _ => {}
        }
        Err(unknown_path(segments, &written))
    }

    /// The one provider that a name means; in a variable `_` means `-` too.
    fn one_provider(&self, name: &str, origin: &Origin) -> Result<String, Wrong> {
        if !matches!(origin, Origin::Variable(_)) {
            return Ok(name.to_owned());
        }
        match self.known(name).as_slice() {
            [] => Ok(name.to_owned()),
            [one] => Ok(one.clone()),
            several => Err(Wrong::new(format!(
                "it may mean each of the providers {}",
                super::value::listed(several.iter().map(|name| shown_name(name)))
            ))
            .hint("rename all but one of these providers")),
        }
    }

    fn known(&self, name: &str) -> Vec<String> {
        self.folded.get(&fold(name)).into_iter().flatten().cloned().collect()
    }

    fn provider(&mut self, name: &str, origin: &Origin) -> &mut WrittenProvider {
        self.folded.entry(fold(name)).or_default().insert(name.to_owned());
        self.providers.entry(name.to_owned()).or_insert_with(|| WrittenProvider {
            named_at: origin.clone(),
            section: Section::default(),
            problems: Vec::new(),
        })
    }

    fn section(&mut self, name: &str) -> Option<(&mut Section, Place)> {
        let place = place_of(name)?;
        Some(match place {
            Place::Log => (&mut self.log, place),
            Place::Limits => (&mut self.limits, place),
            _ => (&mut self.defaults, place),
        })
    }

    fn section_of(&mut self, setting: &Setting, segments: &[&str]) -> &mut Section {
        match (setting.place, segments.len()) {
            (Place::Top, _) => &mut self.top,
            (Place::Log, _) => &mut self.log,
            (Place::Limits, _) => &mut self.limits,
            _ => &mut self.defaults,
        }
    }
}

/// How a provider's name looks to variables.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// The path of a provider, safe to print.
pub(super) fn provider_path(name: &str) -> String {
    joined("providers", name)
}

/// `version` belongs to the file's format, and images set `KEYSTEAD_VERSION` to their own.
fn is_setting_variable(name: &str) -> bool {
    let is_setting = settings::find(Place::Top, name).is_some() && name != "version";
    is_setting || SECTIONS.contains(&name)
}

/// The entries of a map, each name once; further ones are mistakes.
fn unique<'a>(
    entries: &'a [Entry],
    prefix: &str,
    scope: &Scope,
    problems: &mut Vec<Problem>,
) -> Vec<&'a Entry> {
    let mut seen: HashMap<&str, &Origin> = HashMap::new();
    let mut kept = Vec::new();
    for entry in entries {
        if let Some(first) = seen.get(entry.name.as_str()) {
            let wrong = twice(&entry.name, first);
            let path = joined(prefix, &entry.name);
            problems.push(wrong.at(path, entry.origin.clone(), scope.clone()));
            continue;
        }
        seen.insert(&entry.name, &entry.origin);
        kept.push(entry);
    }
    kept
}

fn twice(name: &str, first: &Origin) -> Wrong {
    Wrong::new(format!("{} is written twice", shown_name(name)))
        .hint(format!("keep this one or the one at {first}"))
}

/// The map that stands under a name; nothing at all is fine.
fn entries_of<'a>(
    entry: &'a Entry,
    path: &str,
    scope: &Scope,
    problems: &mut Vec<Problem>,
) -> Option<&'a [Entry]> {
    if let Kind::Map(entries) = &entry.value.kind {
        return Some(entries);
    }
    if !entry.value.is_blank() {
        let wrong = Wrong::new(format!("expected a map, found {}", entry.value.kind_name()))
            .hint("write its settings below it, each on a line of its own");
        problems.push(wrong.at(path.to_owned(), entry.value.origin.clone(), scope.clone()));
    }
    None
}

fn insert(
    section: &mut Section,
    place: Place,
    entry: &Entry,
    prefix: &str,
    scope: &Scope,
    problems: &mut Vec<Problem>,
) {
    if let Some(setting) = settings::find(place, &entry.name) {
        section.0.insert(setting.name, entry.value.clone());
        return;
    }
    let wrong = unknown_name(place, &entry.name);
    let path = joined(prefix, &entry.name);
    problems.push(wrong.at(path, entry.origin.clone(), scope.clone()));
}

fn joined(prefix: &str, name: &str) -> String {
    let shown = shown_name(name);
    // A name that is not shown as it is stands in no path either.
    let last = if shown.trim_matches('"') == name { name } else { "?" };
    if prefix.is_empty() { last.to_owned() } else { format!("{prefix}.{last}") }
}
