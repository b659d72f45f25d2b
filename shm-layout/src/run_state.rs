//! How far a run is, and what its supervisor wants: words of the control page.

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u64)]
        pub enum $name {
            $($(#[$vdoc])* $variant = $word,)*
        }

        impl $name {
            /// What a word says; `None` for damaged or foreign data.
            pub const fn from_word(word: u64) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)*
                    _ => None,
                }
            }

            /// Its name in lower case.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }
    };
}

word_enum! {
    /// How far a run is, as the supervisor last wrote it.
    RunState {
        /// Workers are being started.
        Starting = 1, "starting";
        /// The start gate is open.
        Running = 2, "running";
        /// All tori have reached the end tick.
        Finished = 3, "finished";
        /// All tori have stopped at one boundary.
        Stopped = 4, "stopped";
        /// A torus gave up.
        Failed = 5, "failed";
        /// Reserved: a torus is away and the others go on.
        Degraded = 6, "degraded";
    }
}

word_enum! {
    /// What the supervisor wants.
    Desired {
        /// The run goes on.
        Run = 1, "run";
        /// The run stops at the decided boundary.
        Stop = 2, "stop";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_word_and_no_other_word_is_one() {
        for word in 0..9 {
            assert_eq!(
                RunState::from_word(word).map(|state| state as u64),
                (1..=6).contains(&word).then_some(word)
            );
            assert_eq!(
                Desired::from_word(word).map(|desired| desired as u64),
                (1..=2).contains(&word).then_some(word)
            );
        }
        assert_eq!(
            (RunState::Stopped.name(), Desired::Stop.name()),
            ("stopped", "stop")
        );
    }
}
