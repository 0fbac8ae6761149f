import type { z } from 'zod'
import { configSchema } from './schema.ts'
import { providerSchema } from './schema/providers.ts'
import { routeSchema } from './schema/route.ts'

/** One key of the schema, as the environment, the documentation and the printed configuration see it. */
export interface Key {
  readonly path: readonly string[]
  /** Environment variable, `DIRECTORY_OKTA_URL`; keys of a route have none. */
  readonly env: string
  /** `mixed`: text or something else. */
  readonly kind: 'text' | 'mixed' | 'flag' | 'number' | 'list' | 'map' | 'routes'
  readonly secret: boolean
  /** Read once, at the start; every other key is live. */
  readonly restart: boolean
  /** The schema allows one value alone. */
  readonly only: boolean
  /** Empty text is a value of it. */
  readonly takesEmpty: boolean
  /** undefined: none. */
  readonly default: unknown
  readonly description: string
}

/** Every key outside routes, nested ones by their leaves (`directory.okta.url`). */
export const globalKeys: readonly Key[] = keysOf(configSchema)
/** Every key of a route; a map is one of them. */
export const routeKeys: readonly Key[] = keysOf(routeSchema, { nested: false })

/** Every key of a provider in `identity_providers`, nested ones by their leaves. */
export const providerKeys: readonly Key[] = keysOf(providerSchema)

/** Keys whose value comes from elsewhere, so that an example's may have been left in its place. */
export const copiedKeys = {
  global: copied(globalKeys),
  route: copied(routeKeys),
  provider: copied(providerKeys),
}

function copied(keys: readonly Key[]): readonly (readonly string[])[] {
  return keys.filter(({ secret, path }) => secret || path.at(-1)?.endsWith('client_id')).map(({ path }) => path)
}

const secretNames = {
  global: secretNamesOf([...globalKeys, ...routeKeys]),
  provider: secretNamesOf(providerKeys),
}

function secretNamesOf(keys: readonly Key[]): ReadonlySet<string> {
  return new Set(keys.filter(({ secret }) => secret).map(({ path }) => path.join('.')))
}

/** May the value at this path be shown? Works for `['routes', 0, …]` and `['identity_providers', 'staff', …]`, too. */
export function isSecret(path: readonly (string | number)[]): boolean {
  const inRoute = (path[0] === 'routes' || path[0] === 'policy') && typeof path[1] === 'number'
  const inProvider = path[0] === 'identity_providers' && path.length > 2
  const own = path.slice(inRoute || inProvider ? 2 : 0)
  const names = secretNames[inProvider ? 'provider' : 'global']
  return own.some((_, i) => names.has(own.slice(0, i + 1).join('.')))
}

/** The keys that may stand in the map at `path`. */
export function keysAt(path: readonly (string | number)[]): readonly string[] {
  const inRoute = path[0] === 'routes' || path[0] === 'policy'
  // Zod's own types do not let a reader walk wrappers; Schema is the part of them that we read.
  let forms = formsOf((inRoute ? routeSchema : configSchema) as unknown as Schema)
  for (const part of inRoute ? path.slice(2) : path) {
    forms = forms.flatMap(({ shape, def }) => {
      const inner = typeof part === 'number' ? def.element : (shape?.[part] ?? def.valueType)
      return inner ? formsOf(inner) : []
    })
  }
  return [...new Set(forms.flatMap(({ shape }) => Object.keys(shape ?? {})))]
}

/** Without wrappers, and each form of a union alone. */
function formsOf(schema: Schema): readonly Schema[] {
  const { innerType, in: written, options } = schema.def
  if (innerType ?? written) return formsOf(innerType ?? written ?? schema)
  return options ? options.flatMap(formsOf) : [schema]
}

interface Schema {
  readonly def: {
    readonly type: string
    /** Of a wrapper: what it wraps; of a pipe: what is written. */
    readonly innerType?: Schema
    readonly in?: Schema
    /** Of a list: what is in it. */
    readonly element?: Schema
    /** Of a map of names: what each of them has. */
    readonly valueType?: Schema
    readonly defaultValue?: unknown
    readonly values?: readonly unknown[]
    /** Of a union: its forms. */
    readonly options?: readonly Schema[]
  }
  readonly shape?: Readonly<Record<string, Schema>>
  readonly safeParse: (value: unknown) => { readonly success: boolean }
  readonly meta: () =>
    | { readonly description?: string; readonly writeOnly?: unknown; readonly restart?: unknown }
    | undefined
}

function keysOf(
  schema: z.ZodObject,
  {
    prefix = [],
    restart = false,
    nested = true,
  }: { readonly prefix?: readonly string[]; readonly restart?: boolean; readonly nested?: boolean } = {},
): readonly Key[] {
  // Zod's own types do not let a reader walk optional and default wrappers; this is the part of them that we read.
  return Object.entries(schema.shape as unknown as Readonly<Record<string, Schema>>).flatMap(([name, wrapped]) => {
    const path = [...prefix, name]
    let inner = wrapped
    while (inner.def.innerType ?? inner.def.in) inner = inner.def.innerType ?? inner.def.in ?? inner
    const meta = wrapped.meta()
    const fixed = (meta?.restart ?? restart) === true
    if (nested && inner.shape && path[0] !== 'routes' && path[0] !== 'policy') {
      return keysOf(inner as unknown as z.ZodObject, { prefix: path, restart: fixed })
    }
    return {
      path,
      env: path.join('_').toUpperCase(),
      kind: kindOf(name, inner.def),
      secret: meta?.writeOnly === true,
      restart: fixed,
      only: inner.def.type === 'literal',
      // Asked of few keys, and the first question to a schema prepares it.
      get takesEmpty() {
        return wrapped.safeParse('').success
      },
      default: wrapped.def.defaultValue,
      description: meta?.description ?? '',
    } satisfies Key
  })
}

function kindOf(name: string, { type, values, options }: Schema['def']): Key['kind'] {
  if (name === 'routes' || name === 'policy') return 'routes'
  switch (type) {
    case 'literal':
      return typeof values?.[0] === 'boolean' ? 'flag' : 'text'
    case 'boolean':
      return 'flag'
    case 'number':
      return 'number'
    case 'array':
      return 'list'
    case 'object':
    case 'record':
      return 'map'
    case 'union':
      // A list or a number that may be written as text, too.
      return options?.[0]?.def.type === 'array' ? 'list' : options?.[0]?.def.type === 'number' ? 'number' : 'mixed'
    default:
      return 'text'
  }
}
