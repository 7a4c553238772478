/** `token inspect`: what a token is, and whether the server would accept it. It comes on standard input, never as an argument. */
import { readSync } from 'node:fs';
import type { Command } from 'commander';
import type { App } from '../../src/app.ts';
import { type KeyId, type Subject, shortKid } from '../../src/domain/ids.ts';
import { type EpochSeconds, toMs } from '../../src/domain/time.ts';
import type { TokenReport } from '../../src/operations/inspect-token.ts';
import { Refusal } from '../../src/refusal.ts';
import { type DefineCommand, endWith, type GlobalFlags, helpNotes } from '../command.ts';
import type { Out } from '../output.ts';
import { type Line, paint } from '../paint.ts';
import { relative } from '../when.ts';
import { withApp } from '../with-app.ts';

/** Bytes of standard input that are looked at; no token is longer than 8 KiB. */
const READ_LIMIT = 64 * 1024;

const EXIT = '0 accepted, 1 not accepted, 2 wrong usage, 5 database not usable';

/** `inspect` changes nothing: a spent token that is looked at ends no session. */
export const defineToken: DefineCommand = (command) => {
  command.description('Looks at tokens.');
  helpNotes(command, { examples: ['auth-server token inspect < token.jwt'], exit: EXIT });
  defineInspect(command.command('inspect'));
};

function defineInspect(command: Command): void {
  command
    .description('reads a token on standard input, says what it is, and whether the server accepts it')
    .usage('[options] < token.jwt')
    .allowExcessArguments()
    .action((flags: GlobalFlags, called: Command) => {
      if (called.args.length > 0) {
        throw new Refusal(
          'invalid_request',
          'A token is never an argument: others can see the arguments of a process.',
          {
            remedy: 'auth-server token inspect < token.jwt',
          },
        );
      }
      return withApp(flags, { schema: 'current' }, inspect);
    });
  helpNotes(command, {
    examples: ['auth-server token inspect < token.jwt', 'auth-server token inspect --json < token.jwt | jq .claims'],
    exit: EXIT,
  });
}

async function inspect(app: App, out: Out): Promise<void> {
  if (process.stdin.isTTY) out.note('paste the token, then Enter and Ctrl-D');
  const { inspectToken } = await import('../../src/operations/inspect-token.ts');
  const report = await inspectToken(app, readInput());
  const { kind, header, claims, accepted, reason } = report;
  out.result({ kind, header, claims, accepted, reason }, lines(report, await nameOf(app, claims?.sub), out));
  if (!accepted) endWith(1);
}

async function nameOf(app: App, subject: unknown): Promise<string | undefined> {
  if (typeof subject !== 'string') return undefined;
  const { namesOf } = await import('../../src/operations/families.ts');
  return (await namesOf(app, [subject as Subject])).get(subject as Subject) ?? subject;
}

/** Standard input without the space around the token; what comes after the limit cannot make it a token. */
function readInput(): string {
  const buffer = Buffer.alloc(READ_LIMIT);
  let length = 0;
  while (length < READ_LIMIT) {
    const count = readSome(buffer, length);
    if (count === 0) break;
    length += count;
  }
  return buffer.toString('latin1', 0, length).trim();
}

function readSome(buffer: Buffer, offset: number): number {
  for (;;) {
    try {
      return readSync(0, buffer, offset, buffer.length - offset, null);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function lines(report: TokenReport, name: string | undefined, out: Out): readonly Line[] {
  const { kind, accepted, explanation } = report;
  const what = kind === 'unknown' ? 'no token of this server' : `${kind} token`;
  const verdict = accepted ? paint('good', 'accepted') : paint('alarm', 'NOT accepted');
  const why = explanation ?? (kind === 'access' ? 'By a resource server of its audience.' : 'At /refresh.');
  const about = aboutText(report, name, out);
  return [
    [what, ...keyText(report)].join(', '),
    [verdict, `: ${why}`],
    ...(about === '' ? [] : [report.isGenuine ? about : `It says, and nobody vouches for it: ${about}`]),
  ];
}

function keyText({ kind, header, key, isGenuine }: TokenReport): string[] {
  if (kind === 'unknown') return [];
  const alg = typeof header?.alg === 'string' ? [header.alg] : [];
  const named = key === null ? [] : [`key ${shortKid(key.kid as KeyId)} (${key.state ?? 'unknown here'})`];
  return [...alg, ...named, isGenuine ? 'signature good' : 'signature NOT good'];
}

function aboutText({ claims, family }: TokenReport, name: string | undefined, { now }: Out): string {
  const client = typeof claims?.client_id === 'string' ? [`client ${claims.client_id}`] : [];
  const session = family === null ? [] : [`session ${family.sid} (${family.state ?? 'unknown here'})`];
  const generation = typeof claims?.gen === 'number' ? [`generation ${claims.gen}`] : [];
  const exp = typeof claims?.exp === 'number' ? toMs(claims.exp as EpochSeconds) : undefined;
  const end = exp === undefined ? [] : [`${exp <= now ? 'expired' : 'expires'} ${relative(exp, now)}`];
  return [...(name === undefined ? [] : [name]), ...session, ...client, ...generation, ...end].join(', ');
}
