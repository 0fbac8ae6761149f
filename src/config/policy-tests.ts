import { z } from 'zod'
import { nearest } from '../policy/nearest.ts'
import { parseConfigDocument } from './document.ts'
import { type ConfigIssue, formatSource, type Path, sortIssues } from './issues.ts'
import { flag, oneOf, text } from './schema/fields.ts'

/** What a table test may expect: a decision, or that there was none to take. */
const EXPECTATIONS = [
  'allow',
  'sign-in',
  'deny',
  'bad-token',
  'unavailable',
  'not-found',
  'control',
  'bad-request',
] as const

const personSchema = z.strictObject({
  user: text.default('somebody'),
  email: text.optional(),
  /** `unknown`: the directory has not said. */
  groups: z.union([z.array(text), z.literal('unknown')]).default([]),
  claims: z.record(z.string(), z.json()).default({}),
  active: flag.default(true),
  /** Name of the identity provider; absent: the default one. */
  provider: text.optional(),
})

/** With a token of `postern tokens`. */
const programSchema = z.strictObject({ service_account: text, groups: z.array(text).default([]) })

const certificateSchema = z.strictObject(
  {
    fingerprint: text.optional(),
    spki_hash: text.optional(),
    dns: z.array(text).default([]),
    email: z.array(text).default([]),
    uri: z.array(text).default([]),
  },
  { error: 'a map with fingerprint, spki_hash, and lists dns, email, uri' },
)

const caseSchema = z.strictObject(
  {
    name: text.optional(),
    url: z
      .string({ error: 'a URL such as https://app.corp.example/' })
      .regex(/^(?:https?|wss?):\/\//, { error: 'a URL such as https://app.corp.example/' }),
    method: text.default('GET'),
    ip: z.union([z.ipv4(), z.ipv6()], { error: 'an IP address' }).default('127.0.0.1'),
    at: z.iso.datetime({ offset: true, error: 'a time such as 2026-01-31T09:00:00+01:00' }).optional(),
    headers: z.record(z.string(), z.string(), { error: 'a map of names to text' }).default({}),
    who: z.union([z.literal('nobody'), programSchema, personSchema], {
      error:
        '`nobody`, a map with user, email, groups (a list, or `unknown`), claims, active and provider, or one with service_account and groups',
    }),
    /** A client certificate that is valid; absent: none is shown. */
    certificate: certificateSchema.optional(),
    expect: oneOf(...EXPECTATIONS),
    reasons: z.array(text, { error: 'a list of reasons such as groups-ok' }).optional(),
  },
  { error: 'a case: a map with url, who and expect' },
)

const MISSING_CASES = 'a list of at least one case'
const fileSchema = z.strictObject(
  { cases: z.array(caseSchema, { error: MISSING_CASES }).min(1, { error: MISSING_CASES }) },
  { error: 'a map with `cases`' },
)

/** One row: a request, who sends it, and what Postern shall make of it. */
export type PolicyTest = Readonly<z.output<typeof caseSchema>> & {
  /** `wiki.test.yaml:3:5`. */
  readonly definedAt: string
}

export type ParsedPolicyTests =
  | { readonly kind: 'ok'; readonly cases: readonly PolicyTest[] }
  | { readonly kind: 'invalid'; readonly issues: readonly ConfigIssue[] }

/** The tables that `postern test` runs. All mistakes at once, each with its position. Pure. */
export function parsePolicyTests(text: string, fileName: string): ParsedPolicyTests {
  const document = parseConfigDocument(text, fileName)
  const issues: ConfigIssue[] = [...document.issues]
  const result = document.value === undefined ? undefined : fileSchema.safeParse(document.value)
  for (const issue of result?.error?.issues ?? []) {
    const path: Path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const near = nearest(key, keysAt(path))
        const message = `unknown key "${key}"${near === undefined ? '' : ` (did you mean "${near}"?)`}`
        issues.push({ severity: 'error', source: document.keyAt([...path, key]), path, message })
      }
    } else {
      issues.push({ severity: 'error', source: document.valueAt(path), path, message: `expected ${issue.message}` })
    }
  }
  if (!result?.success || issues.length > 0) return { kind: 'invalid', issues: sortIssues(issues) }
  return {
    kind: 'ok',
    cases: result.data.cases.map((row, i) => ({ ...row, definedAt: formatSource(document.valueAt(['cases', i])) })),
  }
}

function keysAt(path: Path): readonly string[] {
  return Object.keys((path.length === 0 ? fileSchema : path.length === 2 ? caseSchema : personSchema).shape)
}
