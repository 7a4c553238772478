/**
 * `simulate`: shows the promises at work. Each story is played against a real server on a throw-away database, and each
 * verdict is held against the one that was promised.
 */
import { Argument } from 'commander';
import { type DefineCommand, endWith, type GlobalFlags, helpNotes } from '../command.ts';
import { type Out, outFor } from '../output.ts';
import { paint } from '../paint.ts';
import type { Scenario } from '../simulate/scenarios.ts';
import type { Step } from '../simulate/story.ts';
import type { Column } from '../table.ts';

/** Apart from the stories, so that the help need not load a server; a test holds them together. */
export const SCENARIO_NAMES = [
  'two-tabs',
  'lost-answer',
  'thief-first',
  'thief-late',
  'crash',
  'key-compromise',
  'restored-backup',
] as const;

/** Reads no configuration and touches no database but its own. */
export const defineSimulate: DefineCommand = (command) => {
  command
    .description(
      'Plays thefts and accidents against a throw-away server, and holds its verdicts against the promised ones.',
    )
    .addArgument(new Argument('[scenario]', 'one story (default: all)').choices(SCENARIO_NAMES))
    .action(async (name: string | undefined, flags: GlobalFlags) => {
      const { SCENARIOS } = await import('../simulate/scenarios.ts');
      const out = outFor(flags);
      const played: Played[] = [];
      for (const scenario of SCENARIOS.filter((one) => name === undefined || one.name === name)) {
        played.push(await play(out, scenario));
      }
      const isKept = played.every(({ ok }) => ok);
      if (out.json) out.record({ ok: isKept, scenarios: played });
      if (!isKept) endWith(1);
    });
  helpNotes(command, {
    examples: ['auth-server simulate', 'auth-server simulate thief-first'],
    exit: '0 every promise was kept, 1 one was broken, 2 no such story',
  });
};

interface Played {
  readonly name: string;
  readonly ok: boolean;
  readonly steps: readonly Step[];
}

async function play(out: Out, { name, about, play: run, lesson }: Scenario): Promise<Played> {
  const { openWorld } = await import('../simulate/world.ts');
  const { tellStory } = await import('../simulate/story.ts');
  const world = await openWorld();
  try {
    if (!out.json && out.isTerminal) out.print(`${name}: ${about}`);
    const story = tellStory(world, (step) => tell(out, name, step));
    await run(story);
    const ok = story.steps.every(isAsPromised);
    if (!out.json && out.isTerminal)
      out.print(ok ? lesson : [paint('alarm', 'A promise was broken: this is a bug.')], '');
    return { name, ok, steps: story.steps };
  } finally {
    await world.close();
  }
}

const isAsPromised = ({ verdict, promised }: Step): boolean => verdict === promised;

const columnsOf = (name: string): readonly Column<Step>[] => [
  { title: 'STORY', value: () => name },
  ...(['at', 'who', 'does', 'verdict', 'promised'] as const).map((title) => ({
    title: title.toUpperCase(),
    value: (step: Step) => step[title],
  })),
];

function tell(out: Out, name: string, step: Step): void {
  const { at, who, does, verdict, promised } = step;
  if (out.json) return;
  if (!out.isTerminal) {
    out.list({ document: step, rows: [step], columns: columnsOf(name), empty: '' });
    return;
  }
  const isEnd = /^(REUSED|revoked)/.test(verdict);
  const broken = isAsPromised(step) ? '' : `  PROMISED: ${promised}`;
  out.print([
    `${at.padStart(5)}  ${who.padEnd(8)}  ${does.padEnd(26)}`,
    paint(broken === '' && !isEnd ? undefined : 'alarm', verdict),
    paint('alarm', broken),
  ]);
}
