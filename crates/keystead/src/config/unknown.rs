//! Names that name nothing: what was probably meant.

use keystead_core::text::escaped;

use super::error::{Notice, NoticeLevel, Origin, Wrong};
use super::layers::PREFIX;
use super::settings::{self, Place, SECTIONS, nearest};
use super::value::{did_you_mean, shown_name};

/// A variable without `__` that is none of ours: Kubernetes makes such ones for services.
pub(super) fn ignored(name: &str, lower: &str, origin: Origin) -> Notice {
    let names = settings::of(Place::Top).map(|s| s.name).filter(|name| *name != "version");
    let near = nearest(lower, names)
        .map(|name| format!("; {}", did_you_mean(&format!("{PREFIX}{}", name.to_uppercase()))))
        .unwrap_or_default();
    let text = format!("{} names no setting and is ignored{near}", escaped(name));
    Notice { level: NoticeLevel::Debug, path: String::new(), origin, text }
}

/// A path that leads nowhere; `written` says how a path is written in its layer.
pub(super) fn unknown_path(segments: &[&str], written: &dyn Fn(&str) -> String) -> Wrong {
    let wrong = Wrong::new("there is no such setting");
    let in_section = |section: &str, name: &str, place| {
        let near = nearest(name, settings::of(place).map(|s| s.name))?;
        Some(did_you_mean(&written(&format!("{section}.{near}"))))
    };
    let hint = match segments {
        ["providers"] | ["providers", ""] | ["providers", "", _] => {
            Some(format!("write {}", written("providers.NAME.issuer")))
        }
        ["providers", name] => {
            Some(format!("write {}", written(&format!("providers.{name}.issuer"))))
        }
        ["providers", name, setting] => {
            in_section(&format!("providers.{name}"), setting, Place::Provider)
        }
        [section, name] if place_of(section).is_some() => {
            place_of(section).and_then(|place| in_section(section, name, place))
        }
        [name] => nearest(name, settings::of(Place::Top).map(|s| s.name))
            .map(|near| did_you_mean(&written(near))),
        [section, rest @ ..] => {
            let near = nearest(section, SECTIONS).filter(|near| near != section);
            near.map(|near| did_you_mean(&written(&format!("{near}.{}", rest.join(".")))))
        }
        [] => None,
    };
    wrong.hint(hint.unwrap_or_else(|| "remove it; settings are listed in docs/config.md".into()))
}

/// A name in a file that its section does not know.
pub(super) fn unknown_name(place: Place, name: &str) -> Wrong {
    let wrong = Wrong::new(format!("there is no setting {} here", shown_name(name)));
    let sections = SECTIONS.into_iter().filter(|_| place == Place::Top);
    if let Some(near) = nearest(name, settings::of(place).map(|s| s.name).chain(sections)) {
        return wrong.hint(did_you_mean(near));
    }
    let elsewhere = settings::SETTINGS.iter().find(|setting| setting.name == name);
    wrong.hint(match elsewhere.map(|setting| setting.place) {
        Some(Place::Top) => format!("{name} stands at the top"),
        Some(Place::Log) => format!("{name} stands in log"),
        Some(Place::Limits) => format!("{name} stands in limits"),
        Some(Place::Provider) => format!("{name} stands in a provider, in providers.NAME"),
        Some(Place::Tuning) => format!("{name} stands in a provider, or in defaults for all"),
        None => "remove it; settings are listed in docs/config.md".to_owned(),
    })
}

/// The place that a section of the top stands for.
pub(super) fn place_of(section: &str) -> Option<Place> {
    match section {
        "log" => Some(Place::Log),
        "limits" => Some(Place::Limits),
        "defaults" => Some(Place::Tuning),
        _ => None,
    }
}
