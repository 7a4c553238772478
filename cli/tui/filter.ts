/** The filter of the sessions, in the words of the command line's flags: `client:spa state:live al`. */
import type { App } from '../../src/app.ts';
import { type FamilyId, parseFamilyId } from '../../src/domain/ids.ts';
import { type FamilyState, REVOCATION_CAUSES, type RevocationCause } from '../../src/domain/token-family.ts';
import { type FamilySearch, readSubjectWord } from '../../src/operations/search-families.ts';
import { resolveSubject } from '../../src/operations/users.ts';
import { Refusal } from '../../src/refusal.ts';
import { readAddress, readClientId, readMoment } from '../arguments.ts';

/** What is looked for: one session, or those that fit. */
export type Wanted = { readonly id: string } | { readonly search: FamilySearch };

const STATES = ['live', 'revoked', 'expired'] as const satisfies readonly FamilyState[];

/** What a word may begin with, for messages, help and the palette. */
const FILTER_WORDS = ['client', 'state', 'cause', 'ip', 'since', 'subject'] as const;
type FilterWord = (typeof FILTER_WORDS)[number];

const SHORT_ID = /^[0-9a-f]{8}\.\.[0-9a-f]{6}$/i;

const isOneOf = <T extends string>(values: readonly T[], text: string): text is T =>
  (values as readonly string[]).includes(text);

const invalid = (description: string): Refusal => new Refusal('invalid_request', description);

function oneOf<T extends string>(word: FilterWord, values: readonly T[], text: string): T {
  if (!isOneOf(values, text)) throw invalid(`${word}: is one of ${values.join(', ')}.`);
  return text;
}

/** As the flag of the same name reads it; its complaint is made ours. */
function asFlag<T>(word: FilterWord, read: (text: string) => T, text: string): T {
  try {
    return read(text);
  } catch (error) {
    throw invalid(`${word}: ${error instanceof Error ? error.message : 'cannot be read'}`);
  }
}

const READERS: Readonly<Record<FilterWord, (app: App, value: string) => FamilySearch | Promise<FamilySearch>>> = {
  client: (_, value) => ({ client: asFlag('client', readClientId, value) }),
  state: (_, value) => ({ state: oneOf<FamilyState>('state', STATES, value) }),
  cause: (_, value) => ({ cause: oneOf<RevocationCause>('cause', REVOCATION_CAUSES, value) }),
  ip: (_, value) => ({ ip: asFlag('ip', readAddress, value) }),
  since: (_, value) => ({ since: asFlag('since', readMoment, value) }),
  subject: async (app, value) => ({ subjects: [await resolveSubject(app, value)] }),
};

/** A word that is half typed, `client:`, asks for nothing yet. @throws Refusal invalid_request, ambiguous */
export async function readFilter(app: App, text: string): Promise<Wanted> {
  let search: FamilySearch = {};
  for (const word of text.split(/\s+/).filter((one) => one !== '')) {
    const [, name = '', value = ''] = /^([a-z]+):(.*)$/.exec(word) ?? [];
    if (name === '') {
      if (SHORT_ID.test(word) || parseFamilyId(word.toLowerCase()) !== undefined) return { id: word as FamilyId };
      search = { ...search, ...(await readSubjectWord(app, word)) };
    } else if (!isOneOf(FILTER_WORDS, name)) {
      throw invalid(`A filter begins with ${FILTER_WORDS.map((one) => `${one}:`).join(' ')} or is a subject or an id.`);
    } else if (value !== '') search = { ...search, ...(await READERS[name](app, value)) };
  }
  return { search };
}
