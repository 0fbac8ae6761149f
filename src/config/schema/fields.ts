import { z } from 'zod'
import { parseDuration } from '../../lib/duration.ts'
import type { Span } from '../../types.ts'

/**
 * The kinds of values a person writes. The message of each schema says what was expected and nothing else;
 * validate.ts adds what was found and where. Formats that need more than a shape are judged in compile/.
 */

const DURATION = /^(?:0|(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)$/

export const text = z.string({ error: 'text' }).min(1, { error: 'text that is not empty' })
export const flag = z.boolean({ error: 'true or false' })
export const url = z.string({ error: 'a URL such as https://app.corp.example' }).min(1, { error: 'a URL' })
export const path = z
  .string({ error: 'a path that begins with /' })
  .regex(/^\//, { error: 'a path that begins with /' })

const DURATION_WORDS = 'a duration such as 30s or 14h'
/** Dates end before some longer ones would. */
const LONGEST: Span = 3650 * 86_400_000
/** Node cuts longer waits than 25 days to nothing, and whoever waits for an answer does not want to wait for so long. */
const LONGEST_CALL: Span = 3_600_000

/** Go-style, as Pomerium: `30s`, `14h`, `1h30m`; `0` where nothing is meant. In milliseconds afterwards. */
export const duration = z
  .union([z.string().regex(DURATION, { error: DURATION_WORDS }), z.literal(0)], { error: DURATION_WORDS })
  .transform((written): Span => (written === 0 ? 0 : (parseDuration(written) ?? Number.NaN)))
  .refine((span) => span <= LONGEST, { error: 'a duration of at most 3650d' })

/** Of one call to somebody else. */
export const callTimeout = duration.refine((span) => span <= LONGEST_CALL, { error: 'a duration of at most 1h' })

export const texts = z.array(text, { error: 'a list of text' })
/** A list, or one text with spaces or commas between the words. */
export const words = z
  .union([texts, text], { error: 'a list of text, or text with spaces or commas' })
  .transform((written): string[] => [written].flat().flatMap((item) => item.split(/[\s,]+/).filter(Boolean)))
export const scalars = z.array(z.union([text, z.number(), z.boolean()], { error: 'text, a number, true or false' }), {
  error: 'a list of values',
})
export const textMap = z.record(z.string(), text, { error: 'a map of text to text' })

export const responseHeaders = z.record(z.string(), z.union([text, z.literal(true)], { error: 'text' }), {
  error: 'a map of header to value, or {disable: true}',
})

/** Of a list: each text is PEM, base64 of it, or the path of a file that holds it. */
export const certificatePairs = z.array(
  z.strictObject({ cert: text, key: text }, { error: 'a map such as {cert: app.crt, key: app.key}' }),
  { error: 'a list of {cert, key}' },
)

export function oneOf<const T extends readonly [string, ...string[]]>(
  ...values: T
): z.ZodEnum<{ [K in T[number]]: K }> {
  return z.enum(values, { error: `one of ${values.join(', ')}` })
}

export function integer(min: number, max: number): z.ZodInt {
  const error = `a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

/** A secret or PEM: the key itself, and `<key>_file` with the path of a file that holds it. */
export function orFile<const K extends string>(
  name: K,
  description: string,
): { [N in K]: z.ZodOptional<typeof text> } & { [N in `${K}_file`]: z.ZodOptional<typeof text> } {
  return {
    [name]: text.optional().meta({ description, writeOnly: true }),
    [`${name}_file`]: text.optional().meta({ description: `Path of a file that holds \`${name}\`.` }),
    // The computed keys are exactly the two of the return type.
  } as { [N in K]: z.ZodOptional<typeof text> } & { [N in `${K}_file`]: z.ZodOptional<typeof text> }
}

declare const atRestart: unique symbol
/** What is written here is read once, at the start: a reload keeps the old value and says so. */
export interface AtRestart {
  readonly [atRestart]: true
}

/** Marks keys, and everything below them, as read once, but those inside that are marked `live`. Every other key is live. */
export function restart<S extends Readonly<Record<string, z.ZodType>>>(keys: S): { [K in keyof S]: S[K] & AtRestart } {
  const marked = Object.entries(keys).map(([name, schema]) => [name, schema.meta({ restart: true, ...schema.meta() })])
  // Only the type knows `AtRestart`; the meta is what the program reads.
  return Object.fromEntries(marked) as { [K in keyof S]: S[K] & AtRestart }
}

/** Marks keys inside of what is read once that a reload takes over all the same. */
export function live<S extends Readonly<Record<string, z.ZodType>>>(keys: S): S {
  const marked = Object.entries(keys).map(([name, schema]) => [name, schema.meta({ ...schema.meta(), restart: false })])
  return Object.fromEntries(marked) as S
}
