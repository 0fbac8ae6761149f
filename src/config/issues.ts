import { assertNever } from '../errors.ts'

/** `['routes', 0, 'to']`. */
export type Path = readonly (string | number)[]

/** Where a value comes from. */
export type Source =
  | { readonly kind: 'default' }
  | { readonly kind: 'environment'; readonly name: string }
  /** `file` is also `environment ROUTES`, whose text has lines; without a position: the whole file. */
  | { readonly kind: 'file'; readonly file: string; readonly at?: Position }

/** Both count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface ConfigIssue {
  readonly severity: 'error' | 'warning'
  readonly source: Source
  readonly path: Path
  /** Says what was expected; never holds a secret. */
  readonly message: string
}

/** Collects issues, so that all of them are shown at once. */
export interface Report {
  error(path: Path, message: string): void
  warning(path: Path, message: string): void
  /** For messages that name a second place: `config.yaml:3:1`. */
  where(path: Path): string
  sourceOf(path: Path): Source
  /** Did somebody write this value, or is it the default? */
  isWritten(path: Path): boolean
}

/** `config.yaml:4:5 routes[0]: unknown key "alowed_groups" (did you mean "allowed_groups"?)`. */
export function formatIssue(issue: ConfigIssue): string {
  const place = [formatSource(issue.source), formatPath(issue.path)].filter(Boolean).join(' ')
  const severity = issue.severity === 'warning' ? 'warning: ' : ''
  return place ? `${place}: ${severity}${issue.message}` : `${severity}${issue.message}`
}

/** More of the same than this is counted, and the first few are shown. */
const MANY = 10
const SHOWN = 3

/** A line each. What is said of many routes alike is shown for the first few of them, with the number of the others. */
export function formatIssues(issues: readonly ConfigIssue[]): readonly string[] {
  const kindOf = ({ severity, path, message }: ConfigIssue): string =>
    [severity, formatPath(path.map((part) => (typeof part === 'number' ? 0 : part))), message].join(' ')
  const totals = new Map<string, number>()
  for (const issue of issues) totals.set(kindOf(issue), (totals.get(kindOf(issue)) ?? 0) + 1)
  const seen = new Map<string, number>()
  return issues.flatMap((issue) => {
    const kind = kindOf(issue)
    const total = totals.get(kind) ?? 0
    const number = (seen.get(kind) ?? 0) + 1
    seen.set(kind, number)
    if (total <= MANY || number < SHOWN) return formatIssue(issue)
    return number === SHOWN ? `${formatIssue(issue)} (and ${total - SHOWN} more like it)` : []
  })
}

export function formatSource(source: Source): string {
  switch (source.kind) {
    case 'default':
      return ''
    case 'environment':
      return `environment ${source.name}`
    case 'file':
      return source.at ? `${source.file}:${source.at.line}:${source.at.column}` : source.file
    default:
      return assertNever(source)
  }
}

/** `routes[0].to`. */
export function formatPath(path: Path): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('')
}

/** Errors before warnings, then as a reader meets them: by file and position. */
export function sortIssues(issues: readonly ConfigIssue[]): readonly ConfigIssue[] {
  const order = ({ severity, source }: ConfigIssue): readonly (number | string)[] => [
    severity === 'error' ? 0 : 1,
    source.kind === 'file' ? 0 : 1,
    source.kind === 'file' ? source.file : '',
    source.kind === 'file' ? (source.at?.line ?? 0) : 0,
    source.kind === 'file' ? (source.at?.column ?? 0) : 0,
  ]
  return [...issues].sort((left, right) => {
    const [a, b] = [order(left), order(right)]
    const i = a.findIndex((part, index) => part !== b[index])
    return i < 0 ? 0 : (a[i] ?? 0) < (b[i] ?? 0) ? -1 : 1
  })
}
