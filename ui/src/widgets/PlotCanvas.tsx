import 'uplot/dist/uPlot.min.css';

import { useEffect, useRef } from 'react';
import uPlot from 'uplot';

import { AXES, barAt, lonely, type PlotKind, type Scheme, stacked, stepOf, timeLabels, valueRange } from './plot';

interface Props {
  times: number[];
  columns: (number | null)[][];
  colours: string[];
  kind: PlotKind;
  scheme: Scheme;
  /** A language tag. */
  tag: string;
  height: number;
  write: (value: number) => string;
  /** The greatest value there can be, such as 1 for shares. */
  most?: number;
  /** Plots of one group point at the same time. */
  group?: string;
  at: number | null;
  onPoint: (at: number | null) => void;
  onZoom?: (from: number, to: number) => void;
}

/** The drawing alone, with the library for it: loaded when there is something to draw. */
export default function PlotCanvas(props: Props) {
  const { kind, scheme, tag, height, most, group, colours } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const last = useRef(props);
  last.current = props;
  const shape = [kind, scheme, tag, height, most, group, ...colours].join();

  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const now = last.current;
    const made = new uPlot(optionsOf(last, element.clientWidth), dataOf(now), element);
    plot.current = made;
    const watcher = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== made.width) made.setSize({ width: element.clientWidth, height });
    });
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
    // What has the same shape is only given other data, below.
  }, [shape, height]);

  useEffect(() => {
    plot.current?.setData(dataOf(last.current));
  }, [props.times, props.columns]);

  // Pointed at with the keyboard.
  useEffect(() => {
    const made = plot.current;
    const time = props.at === null ? undefined : props.times[props.at];
    if (!made || time === undefined) return;
    const left = made.cursor.left ?? -1;
    const pointed = left < 0 ? null : kind === 'bars' ? barAt(made.data[0], made.posToVal(left, 'x')) : made.cursor.idx;
    if (pointed === props.at) return;
    // A little to the right: there its bar is.
    made.setCursor({ left: made.valToPos(time, 'x') + (kind === 'bars' ? 1 : 0), top: 10 }, false);
  }, [props.at, props.times]);

  return <div ref={place} style={{ height, touchAction: 'pan-y' }} aria-hidden />;
}

/** Those that are stacked are drawn from the top of the stack down, so that each covers the foot of the one above it. */
function dataOf({ times, columns, kind }: Props): uPlot.AlignedData {
  const drawn = kind === 'bars' ? stacked(columns).reverse() : columns;
  return [times, ...drawn] as uPlot.AlignedData;
}

function optionsOf(props: { current: Props }, width: number): uPlot.Options {
  const { kind, scheme, tag, height, most, group, write } = props.current;
  const bars = kind === 'bars';
  const colours = bars ? [...props.current.colours].reverse() : props.current.colours;
  const axes = AXES[scheme];
  const font = '11px Inter, "Segoe UI", system-ui, "PingFang SC", "Microsoft YaHei", sans-serif';
  const axis = { stroke: axes.text, font, grid: { stroke: axes.grid, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    ms: 1,
    pxAlign: true,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    scales: {
      x: {
        time: true,
        range: (plot, min, max) => {
          const step = stepOf(plot.data[0]);
          return bars ? [min, max + step] : min === max ? [min - step, max + step] : [min, max];
        },
      },
      y: { range: (_plot, _min, max) => valueRange(max, most) },
    },
    axes: [
      { ...axis, gap: 6, size: 28, space: 64, values: (_plot, splits, _at, _space, distance) => timeLabels(splits, distance, tag) },
      {
        ...axis,
        gap: 6,
        space: 34,
        values: (_plot, splits) => splits.map((value) => write(value)),
        size: (_plot, values) => Math.max(34, ...(values ?? []).map((text) => 14 + text.length * 6.4)),
      },
    ],
    cursor: {
      y: false,
      drag: { x: props.current.onZoom !== undefined, y: false, setScale: false },
      points: bars ? { show: false } : { size: 7, width: 2 },
      ...(group && { sync: { key: group, setSeries: false, filters: { pub: (type: string) => type === 'mousemove' || type === 'mouseleave' } } }),
    },
    series: [
      {},
      ...colours.map((colour, at): uPlot.Series => ({
        stroke: colour,
        width: bars ? 0 : 1.75,
        fill: bars ? colour : kind === 'areas' ? `${colour}2e` : undefined,
        paths: bars ? uPlot.paths.bars?.({ size: [0.82, 48], align: 1 }) : undefined,
        points: bars ? { show: false } : { show: true, size: 5, fill: colour, filter: (plot) => lonely(plot.data[at + 1] as (number | null)[]) },
        spanGaps: false,
      })),
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const { left, idx } = plot.cursor;
          if (left == null || left < 0) props.current.onPoint(null);
          else props.current.onPoint(bars ? barAt(plot.data[0], plot.posToVal(left, 'x')) : (idx ?? null));
        },
      ],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const [from, to] = [plot.posToVal(plot.select.left, 'x'), plot.posToVal(plot.select.left + plot.select.width, 'x')];
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          props.current.onZoom?.(Math.floor(from), Math.ceil(to));
        },
      ],
    },
  };
}
