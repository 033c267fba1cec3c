//! Curves as SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::Result;
use crate::growth::Curves;

const SIZE: (u32, u32) = (720, 360);

pub(crate) fn draw(curves: &Curves, file: &Path) -> Result<()> {
    let points = || curves.curves.iter().flat_map(|curve| &curve.points);
    let most_x = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let least_x = points().map(|(x, _)| *x).fold(most_x, f64::min);
    let most_y = points().map(|(_, y)| y.most).fold(0.0, f64::max) * 1.1;
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&root);
    builder
        .margin(12)
        .caption(curves.what, ("sans-serif", 15))
        .set_label_area_size(LabelAreaPosition::Left, 64)
        .set_label_area_size(LabelAreaPosition::Bottom, 40);
    let mut chart = builder.build_cartesian_2d((least_x..most_x).log_scale(), 0.0..most_y)?;
    chart
        .configure_mesh()
        .x_desc(curves.of)
        .light_line_style(WHITE)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .draw()?;
    for (number, curve) in curves.curves.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let line = curve.points.iter().map(|(x, y)| (*x, y.median));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(3))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        let ranges = curve
            .points
            .iter()
            .map(|(x, y)| PathElement::new([(*x, y.least), (*x, y.most)], colour.stroke_width(1)));
        chart.draw_series(ranges)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(root.present()?)
}
