//! Whether a figure rises with time: the Mann–Kendall test tells whether it does, and the Theil–Sen estimator by how
//! much. Neither assumes anything of the figure's distribution, and both bear outliers, which a busy machine makes.

/// A figure's rise over a range of time.
#[derive(Clone, Copy, Debug)]
pub struct Trend {
    /// The median of the slopes of all pairs of points (Theil and Sen).
    pub slope: f64,
    /// The line of that slope which has as many points above it as below it: its height at time 0.
    pub offset: f64,
    /// How much the line rises from the first point to the last one.
    pub rise: f64,
    /// The Mann–Kendall statistic, in standard deviations of a figure without trend. Corrected for equal values.
    pub z: f64,
}

/// Beyond this a figure without trend is found once in a thousand times.
const SIGNIFICANT: f64 = 3.09;

impl Trend {
    /// The trend of points with rising times.
    pub fn of(points: &[(f64, f64)]) -> Self {
        let pairs = || points.iter().enumerate().flat_map(|(n, a)| points[n + 1..].iter().map(move |b| (a, b)));
        let slope = median(pairs().map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect());
        let offset = median(points.iter().map(|(time, value)| value - slope * time).collect());
        let rise = points.last().map_or(0.0, |last| slope * (last.0 - points[0].0));
        let score: f64 =
            pairs().map(|(a, b)| (b.1 - a.1).partial_cmp(&0.0).map_or(0.0, |order| order as i8 as f64)).sum();
        let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
        let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
        values.sort_by(f64::total_cmp);
        let ties: f64 = values.chunk_by(|a, b| a == b).map(|equal| spread(equal.len() as f64)).sum();
        let variance = spread(points.len() as f64) - ties;
        let z = if variance > 0.0 { (score - score.signum()) / variance.sqrt() } else { 0.0 };
        Trend { slope, offset, rise, z }
    }

    /// Whether the figure rises by more than so much, and not by chance.
    pub fn exceeds(&self, bound: f64) -> bool {
        self.z > SIGNIFICANT && self.rise > bound
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// Numbers without a trend, and the same ones with one, with outliers in both.
#[test]
fn a_trend_is_found_and_noise_is_none() {
    let mut random = 1u64;
    let mut noise = || {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 40) as f64 / (1u64 << 24) as f64
    };
    let flat: Vec<_> =
        (0..120).map(|n| (n as f64, 100.0 + 10.0 * noise() + if n % 17 == 0 { 500.0 } else { 0.0 })).collect();
    let trend = Trend::of(&flat);
    assert!(trend.z.abs() < SIGNIFICANT && trend.rise.abs() < 5.0, "{trend:?}");
    let rising: Vec<_> = flat.iter().map(|(time, value)| (*time, value + time / 10.0)).collect();
    let trend = Trend::of(&rising);
    assert!(trend.exceeds(8.0) && !trend.exceeds(20.0), "{trend:?}");
    let falling: Vec<_> = flat.iter().map(|(time, value)| (*time, value - time / 10.0)).collect();
    assert!(!Trend::of(&falling).exceeds(0.0));
    assert_eq!(Trend::of(&[(0.0, 7.0), (1.0, 7.0), (2.0, 7.0)]).z, 0.0);
    // By hand: five of six pairs rise and one is equal, so S = 5, of a variance of (4·3·13 − 2·1·9) / 18 = 23/3.
    let trend = Trend::of(&[(0.0, 1.0), (1.0, 3.0), (2.0, 3.0), (3.0, 4.0)]);
    assert_eq!((trend.slope, trend.rise, trend.offset), (1.0, 3.0, 1.0), "{trend:?}");
    assert!((trend.z - 4.0 / (23.0f64 / 3.0).sqrt()).abs() < 1e-9, "{trend:?}");
}
