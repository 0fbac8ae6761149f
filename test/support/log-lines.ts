/** Is a text log lines, all of them, as docs/log.md describes them? */
import { ERRORS } from '../../src/errors.ts'
import { validator } from '../../src/lib/json-schema.ts'
import { LOG_GROUPS } from '../../src/lib/log-fields.ts'

const SCHEMAS = {
  text: { type: 'string', maxLength: 2100 },
  number: { type: 'number' },
  flag: { type: 'boolean' },
  texts: { type: 'array', items: { type: 'string' } },
  code: { enum: Object.keys(ERRORS) },
  texts_by_name: { type: 'object', additionalProperties: { type: 'string' } },
} as const

const isLine = validator<Readonly<Record<string, unknown>>>({
  type: 'object',
  additionalProperties: false,
  required: ['level', 'time', 'msg'],
  properties: {
    level: { enum: ['trace', 'debug', 'info', 'warn', 'error'] },
    time: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' },
    msg: { type: 'string', minLength: 1 },
    ...Object.fromEntries(
      Object.values(LOG_GROUPS).flatMap((fields) =>
        Object.entries<{ readonly kind: keyof typeof SCHEMAS }>(fields).map(([name, { kind }]) => [
          name,
          SCHEMAS[kind],
        ]),
      ),
    ),
  },
})

/** The lines that are not. */
export function unknownLines(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      if (isLine(JSON.parse(line))) return []
      const { instancePath = '', message } = isLine.firstError() ?? {}
      return [`${instancePath} ${message}: ${line}`]
    })
}
