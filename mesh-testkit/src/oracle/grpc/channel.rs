//! Which level of a gRPC channel is in use, second by second.

/// The state of a level or an endpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum State {
    /// Nothing is connected.
    Idle,
    /// A connection is being made.
    #[default]
    Connecting,
    /// A connection stands.
    Ready,
    /// There was an attempt, and it failed.
    Failing,
}

/// The state of several endpoints of which each is used.
pub fn of_all(states: &[State]) -> State {
    let order = [State::Ready, State::Connecting, State::Idle];
    order.into_iter().find(|state| states.contains(state)).unwrap_or(State::Failing)
}

/// The state of several endpoints on a ring, of which only those that are asked for are connected.
pub fn of_ring(states: &[State]) -> State {
    let number = |wanted| states.iter().filter(|state| **state == wanted).count();
    let rules = [
        (number(State::Ready) >= 1, State::Ready),
        (number(State::Failing) >= 2, State::Failing),
        (number(State::Connecting) >= 1, State::Connecting),
        (number(State::Failing) == 1 && states.len() >= 2, State::Connecting),
        (number(State::Idle) >= 1, State::Idle),
    ];
    rules.into_iter().find(|(holds, _)| *holds).map_or(State::Failing, |(_, state)| state)
}

/// What happens to a channel.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum Event {
    /// It gets these levels, by name.
    Update(Vec<u32>),
    /// A level says how it is.
    Report(u32, State),
    /// Nothing.
    Nothing,
}

/// A level while it is part of the assignment.
#[derive(Clone, Copy, Debug)]
struct Level {
    name: u32,
    is_started: bool,
    state: State,
    has_failed: bool,
    /// How many seconds it may still connect.
    patience: Option<u32>,
}

/// Returns the level in use, and the state of the channel, after each event. Each comes so many seconds
/// after the one before; a level connects for ten seconds, and a stopped one is remembered for 900.
pub fn in_use(events: &[(u32, Event)]) -> Vec<(Option<u32>, State)> {
    let mut channel = Channel::default();
    let mut told = Vec::new();
    for (pause, event) in events {
        for _ in 0..*pause {
            channel.second();
        }
        match event {
            Event::Nothing => {}
            Event::Update(names) => channel.update(names),
            Event::Report(name, state) => channel.report(*name, *state),
        }
        let used = channel.levels.iter().find(|level| Some(level.name) == channel.used);
        told.push((channel.used, used.map_or(State::Failing, |level| level.state)));
    }
    told
}

#[derive(Clone, Debug, Default)]
struct Channel {
    levels: Vec<Level>,
    /// Stopped levels: name, last report, seconds left.
    stopped: Vec<(u32, State, u32)>,
    used: Option<u32>,
}

impl Channel {
    /// A second passes: memories fade, then patience ends, level by level.
    fn second(&mut self) {
        for stopped in &mut self.stopped {
            stopped.2 -= 1;
        }
        self.stopped.retain(|stopped| stopped.2 > 0);
        for level in &mut self.levels {
            level.patience = level.patience.map(|left| left - 1);
        }
        for place in 0..self.levels.len() {
            if let Some(level) = self.levels.get_mut(place)
                && level.patience == Some(0)
            {
                level.patience = None;
                self.choose();
            }
        }
    }

    fn update(&mut self, names: &[u32]) {
        let mut wanted: Vec<u32> = Vec::new();
        wanted.extend(names);
        let first = |place: &usize| {
            let name = wanted.get(*place);
            wanted.iter().position(|other| Some(other) == name) == Some(*place)
        };
        let levels = (0..wanted.len()).filter(first).filter_map(|place| wanted.get(place));
        let known = |name: &u32| self.levels.iter().find(|level| level.name == *name).copied();
        self.levels = levels.map(|name| known(name).unwrap_or(new(*name))).collect();
        self.choose();
    }

    fn report(&mut self, name: u32, state: State) {
        let started = self.levels.iter_mut().find(|level| level.name == name && level.is_started);
        if let Some(level) = started {
            hear(level, state);
            self.choose();
        } else if let Some(stopped) = self.stopped.iter_mut().find(|stopped| stopped.0 == name) {
            stopped.1 = state;
        }
    }

    /// Walks down from the top to the first level that can be used, or the last one. A level that was not
    /// started yet is started on the way, when for a moment nothing below it runs.
    fn choose(&mut self) {
        self.used = None;
        for place in 0..self.levels.len() {
            let Some(Level { name, is_started, .. }) = self.levels.get(place).copied() else {
                return;
            };
            if !is_started {
                self.stop_below(place);
                self.start(place, name);
            }
            let usable = self.levels.get(place).is_some_and(|level| match level.state {
                State::Ready | State::Idle => true,
                State::Connecting => level.patience.is_some(),
                State::Failing => false,
            });
            if usable || place + 1 == self.levels.len() {
                self.used = Some(name);
                return self.stop_below(place);
            }
        }
    }

    /// A level that is remembered says at once what it said last.
    fn start(&mut self, place: usize, name: u32) {
        let Some(level) = self.levels.get_mut(place) else { return };
        *level = Level { is_started: true, patience: Some(10), ..new(name) };
        if let Some(at) = self.stopped.iter().position(|stopped| stopped.0 == name) {
            hear(level, self.stopped.remove(at).1);
        }
    }

    fn stop_below(&mut self, place: usize) {
        for below in self.levels.iter_mut().skip(place + 1).filter(|level| level.is_started) {
            self.stopped.push((below.name, below.state, 900));
            *below = new(below.name);
        }
    }
}

fn new(name: u32) -> Level {
    Level { name, is_started: false, state: State::Connecting, has_failed: false, patience: None }
}

fn hear(level: &mut Level, state: State) {
    let begins = state == State::Connecting && level.state != State::Connecting;
    level.patience = match state {
        State::Connecting if begins && !level.has_failed => level.patience.or(Some(10)),
        State::Connecting => level.patience,
        State::Ready | State::Idle | State::Failing => None,
    };
    level.has_failed = match state {
        State::Ready | State::Idle => false,
        State::Failing => true,
        State::Connecting => level.has_failed,
    };
    level.state = state;
}
