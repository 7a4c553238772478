/** Strict reading of a query string, as bodies are read: unknown parameters are dropped, a repeated one is refused. */
import type { z } from 'zod';
import { checked } from './body.ts';
import { type HttpRequest, invalidRequest } from './request.ts';

/** @throws Refusal invalid_request naming the parameter */
export function queryOf<Schema extends z.ZodType>({ query }: HttpRequest, schema: Schema): z.output<Schema> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (parameters.has(name)) throw invalidRequest('A parameter was sent twice; send each once.');
    parameters.set(name, value);
  }
  return checked(schema, Object.fromEntries(parameters));
}
