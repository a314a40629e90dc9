//! The application: gathers rows of features, runs the model over the last second, tells the words that it hears.

use core::future::Future;

use defmt::{Format, info};
use embassy_futures::yield_now;
use embedded_hal::digital::OutputPin;
use ferrolite_runtime::Error;
use heapless::HistoryBuf;

use crate::keywords::{self, Step, input0, output0};
use crate::smoother::Smoother;

/// The model, in flash.
pub static MODEL: keywords::File =
    keywords::File::new(include_bytes!(concat!(env!("OUT_DIR"), "/keywords.ferro")));

/// What the classes mean.
pub const WORDS: [&str; output0::LEN] = ["silence", "unknown", "yes", "no"];

/// Features of 20 ms.
pub const ROW: usize = 40;
/// A row of features.
pub type Row = [i8; ROW];

/// Rows that the model hears at once.
const ROWS: usize = 49;
/// Rows from one inference to the next: 100 ms.
const STRIDE: usize = 5;

const _: () = assert!(ROWS * ROW == input0::LEN);

/// Where features come from.
pub trait Features {
    /// Why there are none.
    type Error;

    /// The next row, as soon as it is there; `None` where the stream ends.
    fn next(&mut self) -> impl Future<Output = Result<Option<Row>, Self::Error>>;
}

/// Why the application ended.
#[derive(Format)]
pub enum Stop {
    /// There are no features.
    Features,
    /// The LED's pin failed.
    Led,
    /// The model cannot run.
    Model(Error),
}

/// The application over a source of features and a LED.
pub struct App<F, L> {
    features: F,
    led: L,
    rows: HistoryBuf<Row, ROWS>,
    smoother: Smoother,
}

impl<F: Features, L: OutputPin> App<F, L> {
    /// An application that has heard nothing.
    pub fn new(features: F, led: L) -> App<F, L> {
        App { features, led, rows: HistoryBuf::new(), smoother: Smoother::new() }
    }

    /// Tells words until the stream ends.
    pub async fn run(&mut self, net: &mut keywords::Net<'static>) -> Result<(), Stop> {
        let mut count = 0;
        while let Some(row) = self.features.next().await.map_err(|_| Stop::Features)? {
            self.rows.write(row);
            count += 1;
            if count >= ROWS && (count - ROWS).is_multiple_of(STRIDE) {
                self.listen(net, count).await?;
            }
        }
        Ok(())
    }

    /// One inference over the last rows.
    async fn listen(&mut self, net: &mut keywords::Net<'static>, count: usize) -> Result<(), Stop> {
        let mut filling = net.begin();
        for (place, row) in filling.reshape_1().chunks_exact_mut(ROW).zip(self.rows.oldest_ordered()) {
            place.copy_from_slice(row);
        }
        let mut running = filling.start().map_err(Stop::Model)?;
        let done = loop {
            match running.step() {
                Step::More(rest) => running = rest,
                Step::Done(done) => break done,
            }
            yield_now().await;
        };
        let scores = done.labels_softmax();
        info!("row {=usize}: scores {}", count, scores);
        let word = self.smoother.hear(scores);
        if let Some(word) = word.and_then(|class| WORDS.get(class)) {
            info!("heard {=str} at row {=usize}", *word, count);
        }
        let lit = if word.is_some() { self.led.set_high() } else { self.led.set_low() };
        lit.map_err(|_| Stop::Led)
    }

    /// The LED, when the application has ended.
    pub fn into_led(self) -> L {
        self.led
    }
}
