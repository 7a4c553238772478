/** Secrets, as a type that cannot be printed by accident; the two kinds of token, as types that cannot be swapped. */
import type { Brand } from './ids.ts';

/** A string that shows as `[secret]` wherever it is printed; only `reveal()` gives it out. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}

/** Compact JWS, as it is given to the client; never for a log. */
export type AccessTokenString = Brand<string, 'AccessTokenString'>;
/** Compact JWS, for its holder and this server alone; never for a log. */
export type RefreshTokenString = Brand<string, 'RefreshTokenString'>;
