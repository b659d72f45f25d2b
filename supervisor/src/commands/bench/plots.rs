//! Plots, as SVG files.

use std::path::Path;

use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use serde_json::{Value, json};

use crate::error::CommandError;

/// Width and height of a plot in pixels.
const SIZE: (u32, u32) = (860, 540);

/// Curves over one axis.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The file's name, without `.svg`.
    pub file: &'static str,
    /// What it shows.
    pub title: String,
    /// What the horizontal axis is.
    pub x: &'static str,
    /// What the vertical axis is.
    pub y: &'static str,
    /// Whether both axes are logarithmic.
    pub logarithmic: bool,
    /// The curves, each with its name.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// Its data.
    pub fn json(&self) -> Value {
        let curves = self
            .curves
            .iter()
            .map(|(name, points)| json!({ "name": name, "points": points }));
        json!({
            "file": format!("{}.svg", self.file),
            "title": self.title,
            "x": self.x,
            "y": self.y,
            "curves": curves.collect::<Vec<_>>(),
        })
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.curves.iter().flat_map(|(_, points)| points.iter().copied())
    }
}

/// From the least to the greatest value, with a margin; linear axes begin at zero.
fn span(values: impl Iterator<Item = f64>, logarithmic: bool) -> std::ops::Range<f64> {
    let (least, most) = values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    match () {
        () if most <= 0.0 => 0.0..1.0,
        () if logarithmic => least / 1.2..most * 1.2,
        () => 0.0..most * 1.08,
    }
}

/// Draws a plot into a folder. One without points is not drawn.
pub fn draw(plot: &Plot, folder: &Path) -> Result<(), CommandError> {
    if plot.points().next().is_none() {
        return Ok(());
    }
    let path = folder.join(format!("{}.svg", plot.file));
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let x = span(plot.points().map(|(x, _)| x), plot.logarithmic);
    let y = span(plot.points().map(|(_, y)| y), plot.logarithmic);
    let mut builder = ChartBuilder::on(&area);
    builder
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(76);
    let drawn = if plot.logarithmic {
        builder
            .build_cartesian_2d(x.log_scale(), y.log_scale())
            .map_err(|error| error.to_string())
            .and_then(|chart| curves(chart, plot))
    } else {
        builder
            .build_cartesian_2d(x, y)
            .map_err(|error| error.to_string())
            .and_then(|chart| curves(chart, plot))
    };
    drawn
        .and_then(|()| area.present().map_err(|error| error.to_string()))
        .map_err(|error| CommandError::Failed(format!("cannot draw {}: {error}", path.display())))?;
    drop(area);
    std::fs::write(&path, text)
        .map_err(|error| CommandError::system(format!("write {}", path.display()), error))
}

fn curves<'a, X, Y>(
    mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    plot: &Plot,
) -> Result<(), String>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let text = |error: DrawingAreaErrorKind<std::io::Error>| error.to_string();
    chart
        .configure_mesh()
        .x_desc(plot.x)
        .y_desc(plot.y)
        .light_line_style(WHITE)
        .draw()
        .map_err(text)?;
    for (at, (name, points)) in plot.curves.iter().enumerate() {
        let color = Palette99::pick(at).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color).point_size(3))
            .map_err(text)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()
        .map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_drawn_with_its_curves_and_one_without_points_is_not() {
        let folder = std::env::temp_dir().join(format!("braid-plots-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for logarithmic in [false, true] {
            let mut plot = Plot {
                file: "curve",
                title: "A curve".into(),
                x: "k",
                y: "ticks",
                logarithmic,
                curves: vec![("L = 2".into(), vec![(100.0, 5.0), (1000.0, 50.0)])],
            };
            draw(&plot, &folder).unwrap();
            let path = folder.join("curve.svg");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(
                text.starts_with("<svg") && text.contains("L = 2") && text.contains("A curve"),
                "{text}"
            );
            std::fs::remove_file(&path).unwrap();
            plot.curves[0].1.clear();
            draw(&plot, &folder).unwrap();
            assert!(!path.exists());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
