//! The reference configuration, `envoy/envoy.yaml`, on free ports and with the tests' own key service and license server; whole, or
//! with lines changed to see what they are for.

use std::net::SocketAddr;

use super::bootstrap::Setup;
use super::envoy::{Envoy, Refusal, required};
use super::key_service::KeyService;
use super::rig::Rig;
use super::server;
use super::upstream::Upstream;

/// The listener with all the settings.
pub const PROXY: &str = "proxy";

const TEXT: &str = include_str!("../../envoy/envoy.yaml");

/// The file's text, to be changed.
pub struct Reference(String);

impl Reference {
    /// As it stands.
    pub fn whole() -> Reference {
        Reference(TEXT.to_owned())
    }

    /// With every line taken out that consists of this text (blanks aside).
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn without(self, line: &str) -> Reference {
        assert!(self.0.lines().any(|one| one.trim() == line), "no line {line:?} in the reference configuration");
        Reference(self.0.lines().filter(|one| one.trim() != line).flat_map(|one| [one, "\n"]).collect())
    }

    /// With this text changed in every place.
    ///
    /// # Panics
    ///
    /// If it stands nowhere.
    #[must_use]
    pub fn with(self, old: &str, new: &str) -> Reference {
        assert!(self.0.contains(old), "{old:?} is not in the reference configuration");
        Reference(self.0.replace(old, new))
    }

    /// With another file as the module.
    #[must_use]
    pub fn module(self, path: &str) -> Reference {
        self.with("target/mdrm_authz.wasm", path)
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// An Envoy with it; a cluster of the demo becomes the test's own.
    pub fn start(self) -> Rig {
        self.adjusted(|_| ())
    }

    /// The same if it may be that Envoy does not start.
    ///
    /// # Errors
    ///
    /// If it ends by itself.
    pub fn try_start(self) -> Result<Envoy, Refusal> {
        let mut setup = Setup::new(server::nobody());
        setup.written_out = Some(self.at(server::nobody(), server::nobody()));
        Envoy::try_start(setup)
    }

    /// The same with changes to the set-up before Envoy starts.
    pub fn adjusted(self, adjust: impl FnOnce(&mut Setup)) -> Rig {
        let (upstream, keys) = (Upstream::start(), KeyService::start());
        let mut setup = Setup::new(upstream.address());
        setup.written_out = Some(self.at(keys.address(), upstream.address()));
        adjust(&mut setup);
        Rig { envoy: Envoy::start(setup), upstream, keys }
    }

    /// The text with free ports for the listeners, and these addresses in the clusters.
    fn at(self, keys: SocketAddr, upstream: SocketAddr) -> String {
        let text = match self.0.contains("target/mdrm_authz.wasm") {
            true => self.module(&required("MDRM_WASM", "the finished module").display().to_string()).0,
            false => self.0,
        };
        let (listeners, clusters) = text.split_once("\n  clusters:\n").expect("clusters follow the listeners");
        let free = |text: String, port: &str| {
            assert!(text.contains(port), "{port} is a port of the reference configuration");
            text.replace(&format!("port_value: {port} "), "port_value: 0 ")
        };
        let listeners = ["9901", "10000", "10001", "10002", "10003"].into_iter().fold(listeners.to_owned(), free);
        let at = |text: &str, port: &str, address: SocketAddr| {
            let old = format!("address: 127.0.0.1, port_value: {port} ");
            assert!(text.contains(&old), "{port} is the port of a cluster");
            text.replace(&old, &format!("address: {}, port_value: {} ", address.ip(), address.port()))
        };
        format!("{listeners}\n  clusters:\n{}", at(&at(clusters, "10001", keys), "10002", upstream))
    }
}
