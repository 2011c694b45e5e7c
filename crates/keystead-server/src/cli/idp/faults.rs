//! `keystead idp fault`, `script`, `faults`: misbehaving on command.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use keystead_testkit::idp::{ControlError, Documents, Fault, Order};
use serde_json::{Value, json};

use crate::cli::console::Console;
use crate::cli::json::pretty;
use crate::cli::{Exit, Failure, Format};

/// How large a script may be.
const MAX_SCRIPT: u64 = 256 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct FaultArgs {
    #[command(flatten)]
    control: super::ControlArgs,
    /// The realm that it is about [default: every realm]
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// What it does wrong: a name that `keystead idp faults` lists
    #[arg(value_name = "FAULT", value_parser = fault(), hide_possible_values = true)]
    fault: Fault,
    /// The document that it is about [default: whatever the fault can be about]
    #[arg(long, value_name = "DOCUMENT", value_parser = documents())]
    document: Option<Documents>,
    /// For so many requests
    #[arg(long, value_name = "N", conflicts_with = "lasting")]
    requests: Option<u64>,
    /// For so long, such as 30s
    #[arg(id = "lasting", long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    lasting: Option<Duration>,
    /// The number that some faults take
    #[arg(long, value_name = "N")]
    amount: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ScriptArgs {
    #[command(flatten)]
    control: super::ControlArgs,
    /// An order in JSON on each line, such as {"fault": "html", "requests": 3}
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// How the result is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

impl FaultArgs {
    pub(super) fn order(self) -> Result<String, ControlError> {
        let mut order = Order::new(self.fault);
        order.documents = self.document;
        order.realm = self.realm;
        order.amount = self.amount;
        if let Some(requests) = self.requests {
            order = order.requests(requests);
        }
        if let Some(lasting) = self.lasting {
            order = order.lasting(lasting);
        }
        self.control.client().fault(order).map(|()| self.fault.name().to_owned())
    }
}

impl ScriptArgs {
    pub(super) fn order(&self) -> Result<Result<String, ControlError>, Failure> {
        let orders = script(&self.file)?;
        let told = self.control.client().script(&orders);
        Ok(told.map(|()| format!("{} orders", orders.len())))
    }
}

impl ListArgs {
    pub(super) fn run(&self, console: &mut Console) -> Result<Exit, Failure> {
        console.data(match self.format {
            Format::Text => listed(),
            Format::Json => pretty(&as_json().to_string()) + "\n",
        })?;
        Ok(Exit::Yes)
    }
}

/// The orders of a script file.
pub(super) fn script(file: &Path) -> Result<Vec<Order>, Failure> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", file.display());
    let mut text = String::new();
    let read = File::open(file)
        .and_then(|opened| opened.take(MAX_SCRIPT.saturating_add(1)).read_to_string(&mut text));
    match read {
        Err(error) => return Err(Failure::System(named(&error))),
        Ok(read) if u64::try_from(read).is_ok_and(|read| read <= MAX_SCRIPT) => {}
        Ok(_) => return Err(Failure::Usage(named(&format!("more than {MAX_SCRIPT} bytes")))),
    }
    Order::script(&text).map_err(|error| Failure::Usage(named(&error)))
}

fn listed() -> String {
    let mut list = String::new();
    for fault in Fault::ALL {
        // Writing into a String cannot fail.
        let _infallible = write!(list, "{:<24} {}", fault.name(), fault.sentence());
        if let Some(amount) = fault.amount() {
            let _infallible = write!(list, " [amount: {}, {}]", amount.meaning, amount.default);
        }
        list.push('\n');
    }
    list
}

fn as_json() -> Value {
    let entry = |fault: &Fault| {
        json!({
            "name": fault.name(),
            "sentence": fault.sentence(),
            "document": fault.documents().map(Documents::name),
            "needs_tls": fault.needs_tls(),
            "amount": fault.amount().map(|amount| json!({
                "meaning": amount.meaning,
                "default": amount.default,
                "least": amount.range.start(),
                "most": amount.range.end(),
            })),
        })
    };
    Fault::ALL.iter().map(entry).collect()
}

fn fault() -> impl TypedValueParser<Value = Fault> {
    let names = Fault::ALL.iter().map(|fault| fault.name());
    // The parser in front lets nothing else through.
    PossibleValuesParser::new(names)
        .try_map(|name| Fault::from_name(&name).ok_or("there is no such fault"))
}

fn documents() -> impl TypedValueParser<Value = Documents> {
    PossibleValuesParser::new(["discovery", "jwks", "both"])
        .try_map(|name| Documents::from_name(&name).ok_or("there is no such document"))
}
