/**
 * Which routes are hidden by earlier ones. The first match in file order wins, so a public route before a protected one
 * opens it without a word. Everything said here is proved: by the form of the two routes, or by a path that both match.
 */
import { assertNever } from '../errors.ts'
import type { Route } from '../config/route-model.ts'
import { defaultPort } from './host.ts'
import { literalPrefix } from './regex.ts'
import { append, coversHost, matchesPath, matchesPrefix } from './table.ts'

export interface Shadow {
  /** Places in the list of routes. */
  readonly earlier: number
  readonly later: number
  /** A path of both; undefined: every request of the later route goes to the earlier one. */
  readonly example?: string
}

interface Placed {
  readonly route: Route
  readonly place: number
  readonly paths: Paths
}

/** The paths of a route: one, those at or below a prefix, those with a beginning, or what an expression says. */
type Paths =
  | { readonly kind: 'one' | 'below' | 'beginning'; readonly text: string }
  /** `text`: every path that it matches begins so; `/` when nothing more is known. */
  | { readonly kind: 'regex'; readonly text: string; readonly source: string; readonly test: (path: string) => boolean }

/** Comparisons beyond those that an index answers: 10,000 routes are judged in less than a second. */
const MAX_COMPARISONS = 100_000
const TESTS_FOR_AN_EXAMPLE = 20

/**
 * Routes that are never reached, each with the first route that takes all of its requests; and routes of which an
 * earlier, more public one takes a part although it is not a special case of them.
 */
export function findShadows(routes: readonly Route[]): readonly Shadow[] {
  const shadows: Shadow[] = []
  const index = createIndex()
  routes.forEach((route, place) => {
    const placed = { route, place, paths: pathsOf(route) }
    const shadow = index.whole(placed) ?? index.part(placed)
    if (shadow) shadows.push({ ...shadow, later: place })
    index.add(placed)
  })
  return shadows
}

function pathsOf({ match }: Route): Paths {
  switch (match.kind) {
    case 'all':
      return { kind: 'beginning', text: '/' }
    case 'path':
      return { kind: 'one', text: match.path }
    case 'prefix':
      return { kind: match.boundary ? 'below' : 'beginning', text: match.prefix }
    case 'regex': {
      const { text, rest } = literalPrefix(match.source)
      if (rest === '') return { kind: 'one', text }
      if (rest === '.*' || rest === '(.*)') return { kind: 'beginning', text: text || '/' }
      return { kind: 'regex', text: text || '/', source: match.source, test: match.test }
    }
    default:
      return assertNever(match)
  }
}

/** Is every path of `inner` one of `outer`? In doubt no. */
function coversPaths(outer: Paths, inner: Paths): boolean {
  const { text } = inner
  switch (outer.kind) {
    case 'one':
      return inner.kind === 'one' && outer.text === text
    case 'below':
      if (inner.kind === 'one' || inner.kind === 'below') return matchesPrefix(text, outer.text)
      return text.startsWith(outer.text.endsWith('/') ? outer.text : `${outer.text}/`)
    case 'beginning':
      return text.startsWith(outer.text)
    case 'regex':
      return inner.kind === 'one' ? outer.test(text) : inner.kind === 'regex' && outer.source === inner.source
    default:
      return assertNever(outer)
  }
}

function createIndex() {
  const hosts = createHostIndex()
  const [wholeBudget, partBudget] = [createBudget(), createBudget()]
  /** Routes that are more open than others, by host: all, and those that may take a part of a prefix. Prefixes never do. */
  const open = new Map<string, Placed[]>()
  const odd = new Map<string, Placed[]>()
  const wildcards: Placed[] = []

  return {
    add(placed: Placed): void {
      const { from, match } = placed.route
      hosts.add(placed)
      if (openness(placed.route) === 0) return
      if (from.wildcard) wildcards.push(placed)
      else append(open, from.host, placed)
      if (match.kind === 'regex' || from.port !== undefined) append(odd, from.host, placed)
    },

    whole({ route, paths }: Placed): Pick<Shadow, 'earlier'> | undefined {
      const found = hosts.covering(route).flatMap((candidates) => candidates.covering(paths, wholeBudget))
      return found.length === 0 ? undefined : { earlier: Math.min(...found) }
    },

    part(later: Placed): Pick<Shadow, 'earlier' | 'example'> | undefined {
      const { from, match, policy } = later.route
      if (policy.kind === 'public') return undefined
      const candidates = from.wildcard ? wildcards : (match.kind === 'regex' ? open : odd).get(from.host)
      for (const earlier of candidates ?? []) {
        if (!partBudget(1)) return undefined
        if (!mayTakePart(earlier, later)) continue
        if (!partBudget(TESTS_FOR_AN_EXAMPLE)) return undefined
        const example = commonPath(earlier, later)
        if (example !== undefined) return { earlier: earlier.place, example }
      }
      return undefined
    },
  }
}

/** May so many comparisons more be made? */
type Budget = (comparisons: number) => boolean

function createBudget(): Budget {
  let left = MAX_COMPARISONS
  return (comparisons) => (left -= comparisons) >= 0
}

function mayTakePart(earlier: Placed, later: Placed): boolean {
  return (
    openness(earlier.route) > openness(later.route) &&
    methodsMeet(earlier.route, later.route) &&
    beginAlike(earlier, later) &&
    meets(earlier.route, later.route) &&
    !covers(later, earlier)
  )
}

/** How many people a route lets in, roughly: some, everybody who is signed in, everybody. */
export function openness({ policy }: Route): number {
  return { rules: 0, 'signed-in': 1, public: 2 }[policy.kind]
}

/** Without that, no path is one of both. */
function beginAlike({ paths: a }: Placed, { paths: b }: Placed): boolean {
  return a.text.startsWith(b.text) || b.text.startsWith(a.text)
}

function methodsMeet({ conditions: a }: Route, { conditions: b }: Route): boolean {
  return a?.methods?.some((method) => b?.methods?.includes(method) !== false) !== false
}

/** Can one request have the host and port of both? */
function meets({ from: a }: Route, { from: b }: Route): boolean {
  if (a.port !== undefined && b.port !== undefined && a.port !== b.port) return false
  if (a.host === b.host) return true
  // Stars take what is between; only the fixed ends can exclude each other.
  const [first, last] = [a.host.split('*'), b.host.split('*')].map(ends) as [Ends, Ends]
  const begins = first.start.startsWith(last.start) || last.start.startsWith(first.start)
  return begins && (first.end.endsWith(last.end) || last.end.endsWith(first.end))
}

function covers(outer: Placed, inner: Placed): boolean {
  const [a, b] = [outer.route.from, inner.route.from]
  return (
    (a.host === b.host || (a.wildcard && coversHost(a.host.split('*'), b.host))) &&
    keysThatCover(inner.route).includes(keyOf(outer.route)) &&
    coversPaths(outer.paths, inner.paths)
  )
}

/** A path of both routes, tried among those that their forms suggest. */
function commonPath(earlier: Placed, later: Placed): string | undefined {
  const words = [earlier, later]
    .flatMap(({ paths }) => (paths.kind === 'regex' ? (paths.source.match(/[A-Za-z0-9_-]+/g) ?? []) : []))
    .slice(0, 8)
  for (const { text } of [later.paths, earlier.paths]) {
    const base = text.replace(/\/$/, '')
    const below = ['', '/', '/x', ...words.flatMap((word) => [`/${word}`, `/x.${word}`, `/x/${word}`])]
    const found = [...below.map((rest) => base + rest), text].find(
      (path) => path.startsWith('/') && matchesPath(earlier.route, path) && matchesPath(later.route, path),
    )
    if (found !== undefined) return found
  }
  return undefined
}

/** The routes of one `from`, by host, port and conditions. A host that is written out is not asked of a wildcard, nor the reverse. */
function createHostIndex() {
  const hosts = new Map<string, { readonly parts: readonly string[]; readonly byKey: Map<string, PathIndex> }>()
  /** Wildcards by what stands before their first star and behind their last. */
  const byEnds = new Map<string, string[]>()
  const lengths = new Map<string, Ends>()

  function hostsThatCover(host: string, wildcard: boolean): readonly string[] {
    if (!wildcard) return [host]
    const { start, end } = ends(host.split('*'))
    return [...lengths.values()]
      .filter((known) => known.start.length <= start.length && known.end.length <= end.length)
      .flatMap(
        (known) =>
          byEnds.get(`${start.slice(0, known.start.length)}*${end.slice(end.length - known.end.length)}`) ?? [],
      )
      .filter((known) => coversHost(known.split('*'), host))
  }

  return {
    add(placed: Placed): void {
      const { from } = placed.route
      let known = hosts.get(from.host)
      if (!known) {
        known = { parts: from.host.split('*'), byKey: new Map() }
        hosts.set(from.host, known)
        if (from.wildcard) {
          const of = ends(known.parts)
          append(byEnds, `${of.start}*${of.end}`, from.host)
          lengths.set(`${of.start.length} ${of.end.length}`, of)
        }
      }
      const key = keyOf(placed.route)
      let paths = known.byKey.get(key)
      if (!paths) known.byKey.set(key, (paths = createPathIndex()))
      paths.add(placed)
    },
    covering(route: Route): readonly PathIndex[] {
      return hostsThatCover(route.from.host, route.from.wildcard).flatMap((host) =>
        keysThatCover(route).flatMap((key) => hosts.get(host)?.byKey.get(key) ?? []),
      )
    },
  }
}

/** The first route of each form, found by what its paths begin with. */
function createPathIndex() {
  const forms = new Map<string, number>()
  const regexes = new Map<string, Placed[]>()
  const lengths = new Set<number>()
  const key = ({ kind, text }: Pick<Paths, 'kind' | 'text'>, source = ''): string => `${kind} ${text} ${source}`
  const sourceOf = (paths: Paths): string => (paths.kind === 'regex' ? paths.source : '')

  return {
    add(placed: Placed): void {
      const { paths, place } = placed
      const form = key(paths, sourceOf(paths))
      if (!forms.has(form)) forms.set(form, place)
      if (paths.kind === 'regex') append(regexes, paths.text, placed)
      lengths.add(paths.text.length)
    },
    /** Places of routes that cover these paths, the first of each form. */
    covering(paths: Paths, budget: Budget): readonly number[] {
      const found = [forms.get(key(paths, sourceOf(paths)))]
      for (const length of lengths) {
        if (length > paths.text.length) continue
        const text = paths.text.slice(0, length)
        for (const kind of ['below', 'beginning'] as const) {
          if (coversPaths({ kind, text }, paths)) found.push(forms.get(key({ kind, text })))
        }
        if (paths.kind !== 'one') continue
        for (const { paths: regex, place } of regexes.get(text) ?? []) {
          if (budget(1) && coversPaths(regex, paths)) found.push(place)
        }
      }
      return found.filter((place) => place !== undefined)
    },
  }
}

type PathIndex = ReturnType<typeof createPathIndex>

interface Ends {
  readonly start: string
  readonly end: string
}

function ends(parts: readonly string[]): Ends {
  return { start: parts[0] ?? '', end: parts[parts.length - 1] ?? '' }
}

/** Routes with the same key serve the same ports under the same conditions. */
function keyOf({ from, conditions }: Route): string {
  return portKey(from) + conditionKey(conditions)
}

/** Of routes that serve all that this one does, as far as port and conditions tell. */
function keysThatCover({ from, conditions }: Route): readonly string[] {
  const { port } = from
  const ports = port === undefined ? ['any'] : [...new Set(['any', portKey(from), `${port} or none`])]
  return conditions === undefined ? ports : ports.flatMap((key) => [key, key + conditionKey(conditions)])
}

/** A client that names no port means the default of the scheme. */
function portKey({ scheme, port }: Route['from']): string {
  return port === undefined ? 'any' : `${port}${port === defaultPort(scheme) ? ' or none' : ''}`
}

function conditionKey(conditions: Route['conditions']): string {
  return conditions === undefined ? '' : JSON.stringify(conditions)
}
