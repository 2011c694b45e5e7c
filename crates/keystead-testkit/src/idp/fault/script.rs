//! Scripts: one order on each line, in the order in which they happen.

use std::fmt;

use keystead::core::text::quoted;
use serde_json::Value;

use super::order::Order;
use crate::idp::error::IdpError;

/// How many orders a script may have.
pub(in crate::idp) const MAX_ORDERS: usize = 256;

/// Which line of a script cannot be understood, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl Order {
    /// Reads a script: one JSON object on each line, in the form that `POST /fault` takes. Empty
    /// lines and lines that begin with `#` are skipped.
    ///
    /// ```
    /// use keystead_testkit::idp::Order;
    ///
    /// let orders = Order::script(r#"
    ///     ## boots for three requests, then answers, then is gone
    ///     {"fault": "status_503", "requests": 3}
    ///     {"fault": "none", "requests": 2}
    ///     {"fault": "down", "for": "30s"}
    /// "#)?;
    /// assert_eq!(orders.len(), 3);
    /// # Ok::<(), keystead_testkit::idp::ScriptError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScriptError`], about the first line that is wrong.
    pub fn script(text: &str) -> Result<Vec<Self>, ScriptError> {
        let mut orders = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let order = read(line).map_err(|problem| ScriptError { line: number, problem })?;
            if orders.len() == MAX_ORDERS {
                let problem = format!("a script has at most {MAX_ORDERS} orders");
                return Err(ScriptError { line: number, problem });
            }
            orders.push(order);
        }
        Ok(orders)
    }
}

/// The orders of a script in a control request.
pub(in crate::idp) fn orders(written: &Value) -> Result<Vec<Order>, IdpError> {
    let list =
        written.as_array().ok_or_else(|| crate::idp::mint_request::wrong("script", "an array"))?;
    let mut orders = Vec::new();
    for (number, written) in (1..).zip(list) {
        let order = match written.as_object() {
            Some(object) => Order::from_json(object).map_err(|error| error.to_string()),
            None => Err("an order is a JSON object".to_owned()),
        };
        orders
            .push(order.map_err(|problem| IdpError::Order(format!("order {number}: {problem}")))?);
    }
    Ok(orders)
}

fn read(line: &str) -> Result<Order, String> {
    match serde_json::from_str(line) {
        Ok(Value::Object(written)) => Order::from_json(&written).map_err(|error| error.to_string()),
        Ok(_) => Err(format!("an order is a JSON object, not {}", quoted(line))),
        Err(error) => {
            // It would say that this is line 1.
            let said = error.to_string();
            let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
            Err(format!("not JSON at column {}: {what}", error.column()))
        }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for ScriptError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wrong_line_is_named() {
        let many = "{\"fault\": \"html\"}\n".repeat(MAX_ORDERS + 1);
        for (script, said) in [
            (
                "{\"fault\": \"html\"}\n\n# x\n{\"fault\": \"htlm\"}",
                "line 4: there is no fault \"htlm\"",
            ),
            ("{\"fault\": \"html\"", "line 1: not JSON at column 16: EOF while parsing an object"),
            ("html", "line 1: not JSON at column 1: expected value"),
            ("[]", "line 1: an order is a JSON object, not \"[]\""),
            (many.as_str(), "line 257: a script has at most 256 orders"),
        ] {
            let error = Order::script(script).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        assert!(Order::script("\n  \n# nothing\n").unwrap().is_empty());
    }
}
