/**
 * `/openapi.json`: OpenAPI 3.1 of every row of the table of paths, made of the schemas that the handlers read by and of those
 * of the answers. OpenAPI 3.1 takes JSON Schema 2020-12 as it is, so nothing is translated.
 */
import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { App } from '../app.ts';
import { VERSION } from '../version.ts';
import { type Answer, json } from './answer.ts';
import { ANSWERS } from './openapi-answers.ts';
import { type Caller, OPERATIONS, type Operation } from './openapi-operations.ts';

type Json = Readonly<Record<string, unknown>>;

/** As callers send it, and as they may read it: a member more is no fault. */
function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // A number in a query is text with a pattern; what it means says more.
      if (jsonSchema.type === 'integer') delete jsonSchema.pattern;
    },
  });
  return rest;
}

const ref = (kind: 'schemas' | 'responses', name: string): Json => ({ $ref: `#/components/${kind}/${name}` });

const SECURITY: Readonly<Record<Caller, readonly Json[]>> = {
  anyone: [{}],
  // A public app has no secret; a confidential one has to send its own.
  app: [{}, { clientBasic: [] }],
  'resource-server': [{ clientBasic: [] }, { clientBearer: [] }],
  admin: [{ clientBasic: [] }, { clientBearer: [] }],
  proxy: [{ proxyClient: [], userBearer: [] }],
};

const SECURITY_SCHEMES = {
  clientBasic: { type: 'http', scheme: 'basic', description: 'Id and secret of a client.' },
  clientBearer: { type: 'http', scheme: 'bearer', description: 'The secret of a client.' },
  userBearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: "The user's access token." },
  proxyClient: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Auth-Server-Client',
    description: '`<client id>:<secret>` of a resource server.',
  },
};

function parametersOf(place: 'query' | 'path' | 'header', schema: z.ZodObject | undefined): Json[] {
  if (schema === undefined) return [];
  const { properties = {} } = schemaOf(schema) as { properties?: Record<string, Json> };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path',
    schema: property,
  }));
}

function bodyOf({ json: body, form, isBodyOptional }: Operation): Json {
  const schema = body ?? form;
  if (schema === undefined) return {};
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded';
  return {
    requestBody: { required: isBodyOptional !== true, content: { [type]: { schema: schemaOf(schema) } } },
  };
}

const phrase = (status: number | string): string => STATUS_CODES[status] ?? 'Another error';

function responsesOf({ success, errors, events, mediaType = 'application/json' }: Operation): Json {
  const stream =
    events === undefined ? {} : { 'text/event-stream': { schema: { type: 'string', description: events } } };
  const good = Object.entries(success).map(([status, name]) => {
    const content = name === null ? {} : { content: { [mediaType]: { schema: ref('schemas', name) }, ...stream } };
    return [status, { description: phrase(status), ...content }];
  });
  const bad = errors.map((status) => [String(status), ref('responses', `Error${status}`)]);
  return Object.fromEntries([...good, ...bad, ['default', ref('responses', 'Error')]]);
}

const operationOf = ([path, operation]: readonly [string, Operation]): Json => ({
  [operation.method]: {
    operationId: `${operation.method} ${path}`.replaceAll(/[^a-z0-9]+(.)?/g, (_, next = '') => next.toUpperCase()),
    summary: operation.summary,
    tags: [path.startsWith('/admin/') ? 'administration' : operation.caller],
    security: SECURITY[operation.caller],
    parameters: [
      ...parametersOf('path', operation.path),
      ...parametersOf('query', operation.query),
      ...parametersOf('header', operation.headers),
    ],
    ...bodyOf(operation),
    responses: responsesOf(operation),
  },
});

const errorResponse = (status: number | undefined): Json => ({
  description: status === undefined ? 'Any other error' : phrase(status),
  content: { 'application/json': { schema: ref('schemas', 'Error') } },
});

/** @param issuer its address, as callers know it */
export function openApiDocument(issuer: string): Json {
  const rows = Object.entries(OPERATIONS);
  const statuses = new Set(rows.flatMap(([, { errors }]) => errors));
  return {
    openapi: '3.1.0',
    info: {
      title: 'auth-server',
      version: VERSION,
      description: 'Issues and rotates access and refresh token pairs.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: issuer.replace(/\/$/, '') }],
    paths: Object.fromEntries(rows.map((row) => [row[0], operationOf(row)])),
    components: {
      securitySchemes: SECURITY_SCHEMES,
      schemas: Object.fromEntries(Object.entries(ANSWERS).map(([name, schema]) => [name, schemaOf(schema)])),
      responses: Object.fromEntries([
        ['Error', errorResponse(undefined)],
        ...[...statuses].map((status) => [`Error${status}`, errorResponse(status)]),
      ]),
    },
  };
}

const documents = new WeakMap<App, Answer>();

/** Rendered once for an app, and good for five minutes with its caller. */
export async function getOpenApi(app: App): Promise<Answer> {
  const known = documents.get(app) ?? json(200, openApiDocument(app.config.issuer), { 'Cache-Control': 'max-age=300' });
  documents.set(app, known);
  return known;
}
