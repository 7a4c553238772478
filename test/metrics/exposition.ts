/** The Prometheus text format 0.0.4, read strictly: what this takes, a Prometheus takes. */

export interface Family {
  readonly type: string;
  readonly help: string;
  /** By name and labels as written: `…_total{outcome="rotated"}`. */
  readonly samples: ReadonlyMap<string, number>;
}

const HELP = /^# HELP ([a-z_]+) (\S.*)$/;
const TYPE = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/;
const SAMPLE = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|NaN)$/;

/** @throws on any line that is not of the format, in an order that is not, or said twice */
export function readExposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, Family>();
  // Each begins with its help; the library leaves an empty line behind it.
  for (const block of text.split(/^(?=# HELP )/m)) {
    const [help = '', type = '', ...samples] = block.split('\n').filter((line) => line !== '');
    const [, name = '', words = ''] = HELP.exec(help) ?? [];
    const [, of, kind = ''] = TYPE.exec(type) ?? [];
    if (name === '' || of !== name || families.has(name)) throw new Error(`not of the format: ${help} ${type}`);
    families.set(name, { type: kind, help: words, samples: readSamples(name, kind, samples) });
  }
  for (const [name, { type, samples }] of families) if (type === 'histogram') checkHistogram(name, samples);
  return families;
}

function readSamples(name: string, type: string, lines: readonly string[]): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  for (const line of lines) {
    const [, of = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
    const series = `${of}${labels}`;
    if (!belongs(name, type, of) || samples.has(series)) throw new Error(`not of the format, or twice: ${line}`);
    samples.set(series, Number(value.replace('Inf', 'Infinity')));
  }
  return samples;
}

const belongs = (name: string, type: string, sample: string): boolean =>
  type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample) : sample === name;

/** Buckets grow, and the last one has them all. */
function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  let before = 0;
  for (const [series, value] of samples) {
    if (!series.startsWith(`${name}_bucket`)) continue;
    if (value < before && !series.includes('le="0.001"')) throw new Error(`${series} is less than the one before`);
    before = value;
    if (!series.includes('le="+Inf"')) continue;
    const rest = series
      .slice(`${name}_bucket{le="+Inf"`.length)
      .replace(/^,?/, '{')
      .replace(/^\{\}$/, '');
    if (samples.get(`${name}_count${rest}`) !== value) throw new Error(`${series} is not the count`);
  }
}
