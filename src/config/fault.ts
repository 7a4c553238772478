/**
 * What is wrong with a configuration: all of it at once, each fault with its place and a remedy. It stands alone because
 * every part of the loader reports in this form. No message repeats a value, which might be a secret at the wrong key.
 */
import { Refusal } from '../refusal.ts';

/** One thing that is wrong, where, and what to do about it. */
export interface Fault {
  /** `auth.config.json:7`, the name of a variable, `command line`, or `defaults`. */
  readonly where: string;
  readonly message: string;
  readonly remedy: string;
}

/** Refuses a configuration; its description is the first fault. */
export class ConfigurationRefusal extends Refusal {
  readonly faults: readonly Fault[];

  constructor(faults: readonly [Fault, ...Fault[]]) {
    const [first] = faults;
    const link = first.remedy.endsWith('?') ? ' ' : '; ';
    const more = faults.length === 1 ? '' : `${link}auth-server config check lists all ${faults.length} faults`;
    super('configuration_invalid', `${first.where}: ${first.message}`, { remedy: `${first.remedy}${more}` });
    this.faults = faults;
  }
}

/** A name from outside, safe to print: escapes what could steer a terminal, and cuts what is absurdly long. */
export const printable = (name: string): string =>
  name
    .slice(0, 120)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
