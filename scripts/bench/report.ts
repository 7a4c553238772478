/** The figures as a table for people; and which of them are worse than CI lets through. */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import type { Case } from './cases.ts';
import type { Measured } from './load.ts';

export interface Round {
  readonly measured: Measured;
  /** The case that this one is held against, in the same round. */
  readonly against: Measured | undefined;
}

/** One case, in all its rounds. */
export interface Row {
  readonly of: Case;
  readonly rounds: readonly Round[];
}

/** A figure that is no case: memory, start, size. */
export interface Fact {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal?: number;
  readonly floor?: number;
}

/** Of any order; NaN when there are none. Of two in the middle their mean. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

type Figure = 'perSecond' | 'cpu' | 'databaseCpu' | 'p50' | 'p99' | 'generator' | 'others';

const figure = ({ rounds }: Row, name: Figure): number => median(rounds.map(({ measured }) => measured[name]));

/** Of the rounds' ratios, not a ratio of medians: what disturbs a round disturbs both sides of it. */
function ratio({ rounds }: Row, name: Figure): number | undefined {
  const ratios = rounds.flatMap(({ measured, against }) =>
    against === undefined ? [] : [measured[name] / against[name]],
  );
  return ratios.length === 0 ? undefined : median(ratios);
}

const number = (value: number): string =>
  value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3).replace(/\B(?=(\d{3})+(?!\d))(?<!\..*)/g, ',');
const orNothing = (value: number | undefined): string => (value === undefined ? '' : number(value));
const percent = (value: number): string => `${(value * 100).toFixed(0)} %`;

const HEADINGS = [
  'case',
  'c',
  'req/s',
  'CPU µs',
  'database µs',
  'CPU ÷ echo',
  'goal',
  'floor',
  'req/s ÷ echo',
  'p50 ms',
  'p99 ms',
  'p50 ÷ echo',
  'generator',
  'others',
];

function cellsOf(row: Row): string[] {
  const { name, connections, goal, floor } = row.of;
  const databaseCpu = figure(row, 'databaseCpu');
  return [
    name,
    String(connections),
    number(figure(row, 'perSecond')),
    number(figure(row, 'cpu')),
    databaseCpu === 0 ? '' : number(databaseCpu),
    orNothing(ratio(row, 'cpu')),
    goal === undefined ? '' : `≤ ${goal}`,
    floor === undefined ? '' : `≤ ${floor}`,
    orNothing(ratio(row, 'perSecond')),
    number(figure(row, 'p50')),
    number(figure(row, 'p99')),
    orNothing(ratio(row, 'p50')),
    percent(figure(row, 'generator')),
    percent(figure(row, 'others')),
  ];
}

/** A Markdown table, its columns aligned. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => [...(row[column] ?? '')].length)));
  const line = (row: readonly string[]): string =>
    `| ${widths.map((width, column) => (column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** Medians of the rounds, as Markdown. */
export const resultTable = (rows: readonly Row[]): string => table([HEADINGS, ...rows.map(cellsOf)]);

/** As Markdown. */
export const factTable = (facts: readonly Fact[]): string =>
  table([
    ['', 'value', 'goal', 'floor'],
    ...facts.map(({ name, value, unit, goal, floor }) => [
      name,
      `${number(value)} ${unit}`.trim(),
      goal === undefined ? '' : `≤ ${goal}`,
      floor === undefined ? '' : `≤ ${floor}`,
    ]),
  ]);

/** Sentences about what is beyond its floor. */
export const failures = (rows: readonly Row[], facts: readonly Fact[]): string[] => [
  ...rows.flatMap((row) => {
    const found = ratio(row, 'cpu');
    return found === undefined || row.of.floor === undefined || found <= row.of.floor
      ? []
      : [`${row.of.name}: CPU is ${number(found)} × echo, the floor is ${row.of.floor}`];
  }),
  ...facts.flatMap(({ name, value, unit, floor }) =>
    floor === undefined || value <= floor ? [] : [`${name}: ${number(value)} ${unit}, the floor is ${floor}`],
  ),
];

/** What the figures depend on besides the program. */
export function circumstances(): string {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const isChanged = execFileSync('git', ['status', '--porcelain', '--', 'src', 'cli'], { encoding: 'utf8' }) !== '';
  const { model = 'unknown processor' } = os.cpus()[0] ?? {};
  return `${os.availableParallelism()} × ${model}, ${os.type()} ${os.release()}, Node ${process.versions.node}, commit ${commit}${isChanged ? ' with changes' : ''}`;
}
