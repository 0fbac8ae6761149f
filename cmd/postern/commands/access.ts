import type { Route } from '../../../src/config/route-model.ts'
import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { isoTime } from '../../../src/lib/time.ts'
import {
  type AccessLine,
  countAccess,
  policyOf,
  review,
  type Reviewed,
  reviewedPeople,
  reviewedPrograms,
  reviewPage,
} from '../../../src/review.ts'
import { isNamed } from '../../../src/routing/named.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { withOperator } from '../operator.ts'
import { count, printable, table } from '../text.ts'

const ACCESS_FORMATS = ['table', 'csv', 'json', 'html'] as const

export interface AccessOptions {
  readonly config: string | undefined
  /** Name, or host and path, of one route. */
  readonly route: string | undefined
  /** Subject or e-mail address of one person. */
  readonly user: string | undefined
  readonly format: string
}

/** Prints who can open what, and by which rule. Exit code 0, 1 (no such route or person), 2 (a store that cannot be shared), 3 (not valid) or 4 (store). */
export async function accessCommand({ config: file, route, user, format }: AccessOptions, io: Io): Promise<number> {
  const chosen = ACCESS_FORMATS.find((each) => each === format)
  if (chosen === undefined) {
    throw new AppError(
      'ERR_USAGE',
      `--format: expected one of ${ACCESS_FORMATS.join(', ')}, found ${JSON.stringify(format)}`,
    )
  }
  const loaded = await readConfiguration(file, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const now = (io.clock ?? systemClock).now()
  const routes = config.live.routes.filter((each) => route === undefined || isNamed(each, route))
  if (routes.length === 0) {
    io.err(printable(`no route is called ${JSON.stringify(route)}`))
    return 1
  }
  const [everybody, programs] = await withOperator(config, io, async (operator) => [
    await reviewedPeople(config, operator.everybody(), now),
    reviewedPrograms(await operator.tokens.list()),
  ])
  const people = [...everybody, ...programs].filter(
    ({ who, name }) => user === undefined || user === name || user === who.identity.subject,
  )
  if (people.length === 0) {
    io.err(
      printable(user === undefined ? "nobody's groups are known yet" : `nothing is known of ${JSON.stringify(user)}`),
    )
    return 1
  }
  print(chosen, people, routes, route !== undefined || user !== undefined, isoTime(now), io)
  const tokens = people.filter(({ scope }) => scope).length
  const said = [
    `${count(people.length - tokens, 'person', 'people')} whose groups are known`,
    ...(tokens > 0 ? [count(tokens, 'service token')] : []),
    count(routes.length, 'route'),
  ]
  io.err(said.join(', '))
  return 0
}

function print(
  format: (typeof ACCESS_FORMATS)[number],
  people: readonly Reviewed[],
  routes: readonly Route[],
  one: boolean,
  at: string,
  io: Io,
): void {
  switch (format) {
    case 'html':
      return io.out(reviewPage(people, routes, at))
    case 'csv':
      io.out('person,subject,route,access,by')
      for (const line of review(people, routes)) {
        io.out([line.name, line.subject, line.route.name, line.access, line.by].map(csvCell).join(','))
      }
      return
    case 'json':
      for (const line of review(people, routes)) io.out(JSON.stringify(toJson(line)))
      return
    case 'table': {
      const rows = one
        ? [...review(people, routes)].map(({ name, route, access, by }) => [name, route.name, access, by])
        : countAccess(people, routes).map(({ route, counts: { yes, conditions, unknown } }) =>
            [route.name, yes, conditions, unknown, policyOf(route)].map(String),
          )
      const head = one ? ['PERSON', 'ROUTE', 'ACCESS', 'BY'] : ['ROUTE', 'YES', 'CONDITIONS', 'UNKNOWN', 'POLICY']
      for (const line of table(head, rows)) io.out(line)
    }
  }
}

function toJson({ name, subject, route, access, by }: AccessLine): object {
  return { person: name, subject, route: route.name, route_id: route.id, access, by }
}

/** RFC 4180. A spreadsheet takes what begins with one of these for a formula. */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
