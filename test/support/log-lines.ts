/** Is a text log lines, all of them, as docs/log.md describes them? */
import { ERRORS } from '../../src/errors.ts'
import { validator } from '../../src/lib/json-schema.ts'
import { AUDIT_EVENTS, AUDIT_SCHEMA } from '../../src/lib/audit-events.ts'
import { LOG_GROUPS } from '../../src/lib/log-fields.ts'

const SCHEMAS = {
  text: { type: 'string', maxLength: 2100 },
  number: { type: 'number' },
  flag: { type: 'boolean' },
  texts_by_name: { type: 'object', additionalProperties: { type: 'string' } },
  texts: { type: 'array', items: { type: 'string' } },
  code: { enum: Object.keys(ERRORS) },
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

const isNothing = validator({ not: {} })

/** By event: with all that it always has, and nothing but what it may have. */
const isEvent = new Map(
  Object.entries(AUDIT_EVENTS).map(([event, { always, sometimes }]) => {
    const common = ['level', 'time', 'schema', 'event', 'msg']
    const known = [...common, 'worker', ...always, ...sometimes]
    const properties = { ...Object.fromEntries(known.map((name) => [name, {}])), schema: { const: AUDIT_SCHEMA } }
    return [
      event,
      validator({ type: 'object', additionalProperties: false, required: [...common, ...always], properties }),
    ]
  }),
)

/** The lines that are not. */
export function unknownLines(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const fields = JSON.parse(line) as Readonly<Record<string, unknown>>
      const judges = [isLine, ...('schema' in fields ? [isEvent.get(String(fields['event'])) ?? isNothing] : [])]
      const refuses = judges.find((is) => !is(fields))
      if (!refuses) return []
      const { instancePath = '', message } = refuses.firstError() ?? {}
      return [`${instancePath} ${message}: ${line}`]
    })
}
