//! The cookbook of the IETF's JOSE working group: the examples of RFC 7520 and RFC 8037.
//!
//! Each example counts once as a signature over its signing input, and once per serialisation as
//! what a caller might present.

use std::path::Path;

use keystead::core::{Algorithm, KeySet, Provenance};
use serde_json::Value;

use crate::corpus::{Case, Expected};
use crate::key_files;
use crate::signature::{self, published, set};
use crate::{files, token};

pub fn cases(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, bytes) in files(folder) {
        if file.starts_with("jwk/") {
            cases.extend(key_files::of_file(&file, &bytes));
            continue;
        }
        let example: Value = serde_json::from_slice(&bytes).unwrap();
        cases.extend(signatures(&file, &example));
        cases.extend(serialisations(&file, &example));
    }
    cases
}

/// What was signed: one signature, or several, and none in an example of encryption.
fn signatures(file: &str, example: &Value) -> Vec<Case> {
    let one_or_many = |value: &Value| match value {
        Value::Null => Vec::new(),
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    };
    let input = &example["input"];
    let signed = one_or_many(&example["signing"]);
    let keys = one_or_many(&input["key"]).into_iter().zip(one_or_many(&input["alg"]));
    let cases = signed.iter().zip(keys).enumerate().map(|(at, (signed, (key, alg)))| {
        let algorithm = Algorithm::from_name(alg.as_str().unwrap()).unwrap();
        let keys = published(&set(&key.to_string()));
        let message = signed["sig-input"].as_str().unwrap().as_bytes();
        let tag = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signed["sig"].as_str().unwrap());
        let found = signature::verify(&keys, algorithm, message, &tag.unwrap());
        Case::new(format!("{file}:signature-{at}"), Expected::Accept, found)
    });
    cases.collect()
}

fn serialisations(file: &str, example: &Value) -> Vec<Case> {
    let key = match &example["input"]["key"] {
        Value::Array(keys) => format!(r#"{{"keys":{}}}"#, Value::from(keys.clone())),
        key => key.to_string(),
    };
    let keys = KeySet::parse_either(key.as_bytes(), Provenance::Operator, 8).unwrap();
    let outputs = example["output"].as_object().unwrap().iter();
    let cases = outputs.map(|(form, output)| {
        let text = output.as_str().map_or_else(|| output.to_string(), Into::into);
        let found = token::judge(&text, &keys);
        Case::new(format!("{file}:{form}"), Expected::Accept, found)
    });
    cases.collect()
}
