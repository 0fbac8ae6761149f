import { z } from 'zod'
import { oneOf, orFile, text } from './fields.ts'

/** `storage`. */
export const storageSchema = z.strictObject(
  {
    type: oneOf('embedded', 'redis', 'postgres', 'memory')
      .default('embedded')
      .describe(
        '`embedded` is for one machine, `redis` (Redis or Valkey) and `postgres` for several, `memory` loses all sessions at a restart.',
      ),
    path: text.default('.postern').describe('Directory of the embedded store, from the working directory.'),
    ...orFile(
      'url',
      'Redis or Valkey: `redis://user:password@host:6379/0`, `rediss://…` with TLS, `redis+sentinel://…@host:26379,host:26379/master`, `redis+cluster://…@host:6379,host:6379`. PostgreSQL: `postgres://user:password@host:5432/database?sslmode=verify-full`.',
    ),
    ...orFile(
      'ca',
      "PEM bundle (or base64 of it) that replaces the system's authorities for `rediss://` and `sslmode=verify-full`.",
    ),
    ...orFile('client_cert', 'PEM certificate (or base64 of it) to show to the server.'),
    ...orFile('client_key', 'PEM private key of `client_cert` (or base64 of it).'),
    prefix: z
      .string({ error: 'text' })
      .regex(/^[\w.:-]{1,64}$/, { error: 'up to 64 letters, digits and . _ : -' })
      .default('postern')
      .describe(
        'Of the names of all keys in Redis, `{postern}…`, and of the rows in PostgreSQL. A different one for each Postern that shares a server.',
      ),
  },
  { error: 'a map with `type` and `path`, or `type: redis` or `postgres` and `url_file`' },
)

export type StorageInput = z.output<typeof storageSchema>
