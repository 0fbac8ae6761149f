/** The line of a request as `access_log_fields` and `authorize_log_fields` choose it. */
import { assertNever } from '../errors.ts'
import type { Live } from '../config/model.ts'
import type { RequestFacts, RequestHead } from '../http/exchange.ts'
import {
  ACCESS_FIELDS,
  ASKED_FIELDS,
  AUTHORIZE_FIELDS,
  HEADER_FIELD,
  POMERIUM_FIELDS,
} from '../lib/request-log-fields.ts'

export type LogChoice = Pick<Live, 'accessLogFields' | 'authorizeLogFields'>

/** What is known of the request beyond what every line says. Absent: it could not be read. */
export interface Asked {
  readonly facts: RequestFacts
  readonly head: RequestHead
  /** One of our own paths: what its query holds is not for a log. */
  readonly control: boolean
}

/** Makes of all members of a line those that were chosen. */
export type Choose = (members: Readonly<Record<string, unknown>>, asked?: Asked) => Readonly<Record<string, unknown>>

/** undefined: nothing is chosen, and each line says what it has. */
export function createChoose({
  accessLogFields: access,
  authorizeLogFields: authorize,
}: LogChoice): Choose | undefined {
  if (!access && !authorize) return undefined
  const named = [...(access ?? []), ...(authorize ?? [])]
  const wanted = new Set([
    ...named.map(ourName),
    ...(access ? [] : ACCESS_FIELDS),
    ...(authorize ? [] : AUTHORIZE_FIELDS),
  ])
  const known: readonly string[] = [...ACCESS_FIELDS, ...AUTHORIZE_FIELDS]
  const left = new Set(known.filter((name) => !wanted.has(name)))
  const extras = ASKED_FIELDS.filter((name) => wanted.has(name))
  const headers = named.flatMap((name) => HEADER_FIELD.exec(name)?.[1] ?? [])
  return (members, asked) => {
    const kept = Object.fromEntries(Object.entries(members).filter(([name]) => !left.has(name)))
    if (!asked) return kept
    for (const name of extras) {
      const value = extraOf(name, asked)
      if (value !== undefined && value !== '') kept[name] = value
    }
    const shown = headers.flatMap((name) => {
      const value = headerOf(asked.head, name)
      return value === undefined ? [] : [[name, value] as const]
    })
    if (shown.length > 0) kept['headers'] = Object.fromEntries(shown)
    return kept
  }
}

function ourName(name: string): string {
  return name in POMERIUM_FIELDS ? POMERIUM_FIELDS[name as keyof typeof POMERIUM_FIELDS] : name
}

function extraOf(name: (typeof ASKED_FIELDS)[number], { facts, head, control }: Asked): string | undefined {
  switch (name) {
    case 'query':
      return control ? undefined : facts.query
    case 'referer':
      return headerOf(head, 'referer')?.replace(/[?#].*$/s, '')
    case 'forwarded_for':
      return headerOf(head, 'x-forwarded-for')
    case 'client_certificate':
      return facts.clientCertificate?.fingerprint
    default:
      return assertNever(name)
  }
}

/** All values of it, joined (RFC 9110 §5.3). */
function headerOf({ headers }: RequestHead, name: string): string | undefined {
  const lower = name.toLowerCase()
  const values: string[] = []
  for (let i = 0; i < headers.count; i++) if (headers.name(i).lower === lower) values.push(headers.value(i))
  return values.length === 0 ? undefined : values.join(', ')
}
