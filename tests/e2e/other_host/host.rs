//! A host for the module that is no Envoy: an interpreter, and the least of proxy-wasm ABI 0.2.1 that a host can have. One worker; what it
//! has besides is unimplemented, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wasmi::{Caller, Engine, Error, Extern, Func, Instance, Linker, Memory, Module, Store, Val};

use crate::support::table::keyring;

/// A header.
pub(super) type Header = (String, Vec<u8>);

/// `proxy_status_t`.
const OK: i32 = 0;
const BAD_ARGUMENT: i32 = 2;
const UNIMPLEMENTED: i32 = 12;

const ROOT: i32 = 1;
/// The first answer of a callback that does not hold the request.
const CONTINUE: i32 = 0;
/// The other one that ABI 0.2.1 knows.
const PAUSE: i32 = 1;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Ended {
    /// Headers of the filter's own answer.
    Answered(Vec<Header>),
    /// What goes on.
    Forwarded(Vec<Header>, Vec<u8>),
    /// Neither: it would be held until the host's own timeout.
    Held,
}

/// What the module sees of the world.
#[derive(Default)]
struct World {
    /// Since the epoch. It goes on with the requests alone, so that no token gets old because the interpreter is slow.
    clock: Duration,
    configuration: Vec<u8>,
    head: Vec<Header>,
    body: Vec<u8>,
    /// Headers and body of the answer that is handed over.
    call_answer: (Vec<Header>, Vec<u8>),
    /// Tokens and paths of requests to the key service that are unanswered.
    calls: Vec<(i32, String)>,
    tokens: i32,
    answered: Option<Vec<Header>>,
    let_go: bool,
    log: String,
}

/// A running module.
pub(super) struct Host {
    store: Store<World>,
    instance: Instance,
    streams: i32,
}

impl Host {
    /// Starts the module with this plugin configuration at this time in seconds, in a host without these imports: calls of
    /// them are unimplemented.
    ///
    /// # Errors
    ///
    /// Why it does not start: a trap, or its log.
    pub(super) fn start(module: &[u8], configuration: &str, now: i64, missing: &[&str]) -> Result<Host, String> {
        let engine = Engine::default();
        let module = Module::new(&engine, module).map_err(|error| error.to_string())?;
        let clock = Duration::from_secs(now.unsigned_abs());
        let world = World { clock, configuration: configuration.into(), ..World::default() };
        let mut store = Store::new(&engine, world);
        let mut linker = Linker::new(&engine);
        for import in module.imports() {
            let ty = import.ty().func().expect("the module imports functions alone").clone();
            let call = CALLS.iter().find(|(name, _)| *name == import.name() && !missing.contains(name));
            let call = call.map_or(unimplemented as Call, |(_, call)| *call);
            let defined = linker.func_new(import.module(), import.name(), ty, move |caller, arguments, results| {
                let arguments: Vec<usize> = arguments.iter().map(number).collect();
                let status = call(&mut World::of(caller), &arguments)?;
                results.first_mut().into_iter().for_each(|result| *result = Val::I32(status));
                Ok(())
            });
            defined.map_err(|error| error.to_string())?;
        }
        let instance = linker.instantiate_and_start(&mut store, &module).map_err(|error| error.to_string())?;
        let mut host = Host { store, instance, streams: ROOT };
        host.call("_initialize", &[])?;
        host.call("proxy_on_context_create", &[ROOT, 0])?;
        host.call("proxy_on_vm_start", &[ROOT, 0])?;
        match host.call("proxy_on_configure", &[ROOT, configuration.len() as i32])? {
            0 => Err(host.store.data().log.clone()),
            _ => Ok(host),
        }
    }

    /// The functions that the module imports.
    pub(super) fn imports(module: &[u8]) -> BTreeSet<String> {
        let module = Module::new(&Engine::default(), module).expect("a module");
        module.imports().map(|import| import.name().to_owned()).collect()
    }

    /// Hands over a request, and answers what it asks the key service.
    ///
    /// # Errors
    ///
    /// If the module traps, or answers what ABI 0.2.1 does not know.
    pub(super) fn request(&mut self, head: Vec<Header>, body: Option<&[u8]>) -> Result<Ended, String> {
        let pairs = head.len() as i32;
        let world = self.store.data_mut();
        world.clock += Duration::from_millis(5);
        world.head = head;
        world.body.clear();
        (world.answered, world.let_go) = (None, false);
        self.streams += 1;
        let id = self.streams;
        self.call("proxy_on_context_create", &[id, ROOT])?;
        let mut passes = self.action("proxy_on_request_headers", &[id, pairs, i32::from(body.is_none())])?;
        if let (Some(body), true) = (body, self.store.data().answered.is_none()) {
            self.store.data_mut().body = body.to_vec();
            passes = self.action("proxy_on_request_body", &[id, body.len() as i32, 1])?;
        }
        // Time passes, and answers of the key service come, for as long as it waits.
        for _ in 0..5 {
            self.call("proxy_on_tick", &[ROOT])?;
            for (token, path) in std::mem::take(&mut self.store.data_mut().calls) {
                let keyring::KeyAnswer { status, headers, body } = keyring::answer(&path);
                let status = (":status".to_owned(), status.to_string().into_bytes());
                let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
                let headers: Vec<Header> = [status].into_iter().chain(headers).collect();
                let sizes = [headers.len() as i32, body.len() as i32];
                self.store.data_mut().call_answer = (headers, body);
                self.call("proxy_on_http_call_response", &[ROOT, token, sizes[0], sizes[1], 0])?;
            }
        }
        self.call("proxy_on_delete", &[id])?;
        let world = self.store.data_mut();
        Ok(match world.answered.take() {
            Some(headers) => Ended::Answered(headers),
            None if passes || world.let_go => {
                Ended::Forwarded(std::mem::take(&mut world.head), std::mem::take(&mut world.body))
            }
            None => Ended::Held,
        })
    }

    /// Whether a callback lets the request go on.
    fn action(&mut self, callback: &str, arguments: &[i32]) -> Result<bool, String> {
        match self.call(callback, arguments)? {
            CONTINUE => Ok(true),
            PAUSE => Ok(false),
            other => Err(format!("{callback} answers {other}, which is not of ABI 0.2.1")),
        }
    }

    fn call(&mut self, callback: &str, arguments: &[i32]) -> Result<i32, String> {
        let function = self.instance.get_func(&self.store, callback).ok_or_else(|| format!("no {callback}"))?;
        let arguments: Vec<Val> = arguments.iter().map(|argument| Val::I32(*argument)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let called = function.call(&mut self.store, &arguments, &mut results);
        called.map_err(|error| format!("{callback}: {error}\n{}", self.store.data().log))?;
        Ok(results.first().and_then(Val::i32).unwrap_or(0))
    }
}

fn number(value: &Val) -> usize {
    match value {
        Val::I64(number) => *number as usize,
        other => other.i32().expect("an integer") as u32 as usize,
    }
}

/// The world as a host call sees it, with the module's memory.
struct View<'a> {
    caller: Caller<'a, World>,
    memory: Memory,
    allocate: Func,
}

impl World {
    fn of(caller: Caller<'_, World>) -> View<'_> {
        let memory = caller.get_export("memory").and_then(Extern::into_memory).expect("a memory");
        let allocate = caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).expect("an allocator");
        View { caller, memory, allocate }
    }

    /// `proxy_map_type_t`.
    fn map(&mut self, kind: usize) -> Option<&mut Vec<Header>> {
        match kind {
            0 => Some(&mut self.head),
            6 => Some(&mut self.call_answer.0),
            _ => None,
        }
    }
}

impl View<'_> {
    fn world(&mut self) -> &mut World {
        self.caller.data_mut()
    }

    fn read(&self, at: usize, size: usize) -> Vec<u8> {
        self.memory.data(&self.caller)[at..at + size].to_vec()
    }

    fn text(&self, at: usize, size: usize) -> String {
        String::from_utf8(self.read(at, size)).expect("text")
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.memory.data_mut(&mut self.caller)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Gives bytes to the module, and says where: at `data` and `size`.
    fn give(&mut self, bytes: &[u8], data: usize, size: usize) -> Result<i32, Error> {
        let mut place = [Val::I32(0)];
        self.allocate.call(&mut self.caller, &[Val::I32(bytes.len() as i32)], &mut place)?;
        let place = number(&place[0]);
        self.write(place, bytes);
        self.write(data, &(place as u32).to_le_bytes());
        self.write(size, &(bytes.len() as u32).to_le_bytes());
        Ok(OK)
    }

    /// A serialised map of the module: count, sizes, texts with a NUL behind each.
    fn pairs(&self, at: usize, size: usize) -> Vec<Header> {
        let bytes = self.read(at, size);
        let word = |place: usize| u32::from_le_bytes(bytes[4 * place..4 * place + 4].try_into().unwrap()) as usize;
        let mut rest = &bytes[4 + 8 * word(0)..];
        let mut text = |length: usize| {
            let (text, behind) = rest.split_at(length);
            rest = &behind[1..];
            text.to_vec()
        };
        let pair = |place| (String::from_utf8(text(word(1 + 2 * place))).unwrap(), text(word(2 + 2 * place)));
        (0..word(0)).map(pair).collect()
    }
}

fn serialised(pairs: &[Header]) -> Vec<u8> {
    let word = |length: usize| (length as u32).to_le_bytes();
    let sizes = pairs.iter().flat_map(|(name, value)| [word(name.len()), word(value.len())]).flatten();
    let texts = pairs.iter().flat_map(|(name, value)| [name.as_bytes(), b"\0", value, b"\0"]).flatten().copied();
    word(pairs.len()).into_iter().chain(sizes).chain(texts).collect()
}

type Call = fn(&mut View<'_>, &[usize]) -> Result<i32, Error>;

fn unimplemented(_: &mut View<'_>, _: &[usize]) -> Result<i32, Error> {
    Ok(UNIMPLEMENTED)
}

/// What this host has.
const CALLS: [(&str, Call); 15] = [
    ("proxy_log", |view, a| {
        let line = view.text(a[1], a[2]);
        view.world().log += &(line + "\n");
        Ok(OK)
    }),
    ("proxy_get_current_time_nanoseconds", |view, a| {
        let time = view.world().clock.as_nanos() as u64;
        view.write(a[0], &time.to_le_bytes());
        Ok(OK)
    }),
    ("proxy_get_buffer_bytes", |view, a| {
        let world = view.world();
        let buffer = match a[0] {
            0 => &world.body,
            4 => &world.call_answer.1,
            7 => &world.configuration,
            _ => return Ok(BAD_ARGUMENT),
        };
        let bytes: Vec<u8> = buffer.iter().skip(a[1]).take(a[2]).copied().collect();
        view.give(&bytes, a[3], a[4])
    }),
    ("proxy_set_buffer_bytes", |view, a| {
        view.world().body = view.read(a[3], a[4]);
        Ok(OK)
    }),
    ("proxy_get_header_map_pairs", |view, a| match view.world().map(a[0]) {
        None => Ok(BAD_ARGUMENT),
        Some(map) => {
            let bytes = serialised(map);
            view.give(&bytes, a[1], a[2])
        }
    }),
    ("proxy_remove_header_map_value", |view, a| {
        let name = view.text(a[1], a[2]);
        view.world().map(a[0]).into_iter().for_each(|map| map.retain(|(n, _)| *n != name));
        Ok(OK)
    }),
    ("proxy_replace_header_map_value", |view, a| {
        let (name, value) = (view.text(a[1], a[2]), view.read(a[3], a[4]));
        if let Some(map) = view.world().map(a[0]) {
            map.retain(|(n, _)| *n != name);
            map.push((name, value));
        }
        Ok(OK)
    }),
    ("proxy_send_local_response", |view, a| {
        let headers = view.pairs(a[5], a[6]);
        view.world().answered = Some(headers);
        Ok(OK)
    }),
    ("proxy_continue_stream", |view, _| {
        view.world().let_go = true;
        Ok(OK)
    }),
    ("proxy_set_effective_context", |_, _| Ok(OK)),
    ("proxy_set_tick_period_milliseconds", |_, _| Ok(OK)),
    ("proxy_http_call", |view, a| {
        let cluster = view.text(a[0], a[1]);
        let headers: BTreeMap<String, Vec<u8>> = view.pairs(a[2], a[3]).into_iter().collect();
        if cluster != "keys" {
            return Ok(BAD_ARGUMENT);
        }
        let path = String::from_utf8(headers[":path"].clone()).expect("a path");
        let world = view.world();
        world.tokens += 1;
        let token = world.tokens;
        world.calls.push((token, path));
        view.write(a[9], &token.to_le_bytes());
        Ok(OK)
    }),
    ("random_get", |view, a| {
        // The tests need no secret, and the module no more than that it differs.
        let bytes: Vec<u8> = (0..a[1]).map(|place| (place * 37 + 11) as u8).collect();
        view.write(a[0], &bytes);
        Ok(OK)
    }),
    ("environ_sizes_get", |view, a| {
        view.write(a[0], &[0; 4]);
        view.write(a[1], &[0; 4]);
        Ok(OK)
    }),
    ("environ_get", |_, _| Ok(OK)),
];
