//! Signatures that the module verifies itself, as it must on a host without `verify_signature`.
//!
//! The module has no switch for that. Envoy takes the function away from it: a plugin may be restricted to a list of
//! capabilities, and `proxy_call_foreign_function` is not on this one. The module finds out as on any such host.

use serde_json::{Value, json};

use super::{Files, module};
use crate::case::Case;
use crate::lane::{self, Lane, jwt_authn, wasm};
use crate::limits::{Limit, Measure};
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::{Report, ratios};
use crate::run::{self, Bench};
use crate::support::key_service::KeyService;
use crate::support::signer::{Alg, SigningKey};
use crate::traffic::first_seen;

const IN_VM: Lane = Lane("mdrm-authz, in the VM");
const ABOUT: &str = "Every token is new. The last filter verifies in the VM, because Envoy denies it foreign functions \
                     (`capability_restriction_config`); EdDSA is verified there always.";

/// What the module may call and be called by: all that it has but foreign functions.
const ALLOWED: [&str; 38] = [
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "proxy_add_header_map_value",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_http_call",
    "proxy_log",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_done",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "random_get",
];

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let limits = [(Alg::RS256, 6.0), (Alg::ES256, 10.0), (Alg::EdDSA, 2.5)];
    let keys = limits.map(|(alg, _)| SigningKey::generate(&format!("bench-{}", alg.name().to_lowercase()), alg));
    let service = KeyService::start();
    keys.iter().for_each(|key| service.register(key));
    let jwks = json!({"keys": keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()});
    let lanes = [
        (Lane::NONE, vec![]),
        (Lane::JWT_AUTHN, vec![jwt_authn(&jwks, None)]),
        (Lane::FILTER, vec![wasm("mdrm", &module()?, &lane::plugin())]),
        (IN_VM, vec![restricted(wasm("mdrm-in-vm", &module()?, &lane::plugin()))]),
    ];
    let mut proxies = [Proxy::start(bench.cores, service.address(), &lanes)?];
    let [proxy] = &proxies;
    if !proxy.envoy.log().contains("signatures are verified in the VM") {
        return Err("Envoy let the module call foreign functions".into());
    }
    let lanes = lanes.map(|(lane, _)| lane);
    let case = |key: &SigningKey| Case::new(key.alg().name(), &lanes, first_seen(key.clone())).fewer(2);
    let outcome = run::run(bench.size, &mut proxies, &mut keys.each_ref().map(case))?;
    let limit = |(alg, limit): (Alg, f64)| {
        let measure = Measure::Times(Lane::JWT_AUTHN);
        Limit { case: alg.name(), lane: IN_VM, measure, limit, goal: None }.finding(&outcome)
    };
    let report = Report {
        title: "Signatures verified in the VM",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![(
            "Added CPU of verification in the VM as a multiple of others'",
            ratios(&outcome, IN_VM, &[Lane::JWT_AUTHN, Lane::FILTER]),
        )],
        findings: limits.map(limit).into(),
    };
    Ok(vec![("in-vm.md".into(), report.markdown(machine))])
}

fn restricted(mut filter: Value) -> Value {
    let allowed: serde_json::Map<String, Value> = ALLOWED.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    filter["typed_config"]["config"]["capability_restriction_config"] = json!({"allowed_capabilities": allowed});
    filter
}
