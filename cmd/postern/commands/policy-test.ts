import { readFileSync } from 'node:fs'
import { systemReason } from '../../../src/config/input.ts'
import { formatIssue } from '../../../src/config/issues.ts'
import { parsePolicyTests, type PolicyTest } from '../../../src/config/policy-tests.ts'
import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import type { Config } from '../../../src/config/model.ts'
import type { WallTime } from '../../../src/types.ts'
import type { Principal } from '../../../src/policy/model.ts'
import { type Coverage, createCoverage } from '../../../src/policy/coverage.ts'
import { wallTime } from '../../../src/lib/time.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { groupsNamed, makeIdentity, makePrincipal, makeProgram, providerNamed } from '../judge.ts'
import { createJudge, describeExplanation, type Judgement, outcomeOf, reasonsOf } from '../../../src/policy/question.ts'
import { count, printable } from '../text.ts'

export interface PolicyTestOptions {
  readonly tests: string
  readonly config: string | undefined
  readonly json: boolean
  /** Also say which criteria no case has decided. */
  readonly coverage: boolean
}

/** Runs table tests of a configuration's policies. Exit code 0, 1 (a case failed) or 3 (configuration or tests not valid). */
export async function policyTestCommand(
  { tests, config: file, json, coverage: covers }: PolicyTestOptions,
  io: Io,
): Promise<number> {
  const parsed = parsePolicyTests(readTests(tests), tests)
  const loaded = await readConfiguration(file, io)
  if (parsed.kind === 'invalid') for (const issue of parsed.issues) io.err(formatIssue(issue))
  if (!loaded || parsed.kind === 'invalid') return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const judge = createJudge(config)
  const now = (io.clock ?? systemClock).now()
  const coverage = createCoverage(config.live.routes)
  const results = parsed.cases.map((row) => {
    const at = row.at === undefined ? now : wallTime(Date.parse(row.at))
    const headers = Object.entries(row.headers).flat()
    const judgement = judge({
      method: row.method,
      url: row.url,
      ip: row.ip,
      who: principalOf(row, config, at),
      now: at,
      headers,
      ...(row.certificate && { certificate: certificateOf(row.certificate) }),
    })
    if (judgement.kind === 'route') coverage.add(judgement.route, judgement.explanation)
    return { row, judgement, ok: fits(row, judgement) }
  })
  const failed = results.filter(({ ok }) => !ok).length
  if (json) {
    io.out(
      JSON.stringify({ cases: results.map(toJson), failed, ...(covers && coverageToJson(coverage)) }, undefined, 2),
    )
    return failed === 0 ? 0 : 1
  }
  for (const { row, judgement, ok } of results) {
    const title = row.name ?? describeQuestion(row)
    io.out(printable(ok ? `ok    ${title}` : `FAIL  ${title} (${row.definedAt})`))
    if (!ok) for (const line of describeDifference(row, judgement)) io.out(printable(`      ${line}`))
  }
  if (covers) for (const line of describeCoverage(coverage)) io.out(printable(line))
  io.out(
    failed === 0
      ? `${count(parsed.cases.length, 'case')} passed`
      : `${failed} of ${count(parsed.cases.length, 'case')} failed`,
  )
  return failed === 0 ? 0 : 1
}

interface Result {
  readonly row: PolicyTest
  readonly judgement: Judgement
  readonly ok: boolean
}

function toJson({ row, judgement, ok }: Result): object {
  return {
    name: row.name ?? describeQuestion(row),
    defined_at: row.definedAt,
    ok,
    expected: { outcome: row.expect, reasons: row.reasons },
    found: { outcome: outcomeOf(judgement), reasons: reasonsOf(judgement) },
    ...(judgement.kind === 'route' && { route: judgement.route.name }),
  }
}

function describeCoverage(coverage: Coverage): readonly string[] {
  const { seen, all } = coverage.count()
  return [
    '',
    `${seen} of ${all} outcomes of criteria decided`,
    ...coverage.uncovered().flatMap(({ route, missing }) => {
      const name = `${route.name} (${route.definedAt})`
      return missing === 'all' ? [`${name}: no case`] : [name, ...missing.map((text) => `  ${text}`)]
    }),
    '',
  ]
}

function coverageToJson(coverage: Coverage): object {
  const routes = coverage
    .uncovered()
    .map(({ route, missing }) => ({ name: route.name, defined_at: route.definedAt, missing }))
  return { coverage: { ...coverage.count(), routes } }
}

function readTests(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new AppError('ERR_USAGE', `cannot read ${file}: ${systemReason(error)}`, { cause: error })
  }
}

function principalOf({ who }: PolicyTest, config: Config, now: WallTime): Principal | undefined {
  if (who === 'nobody') return undefined
  if ('service_account' in who) return makeProgram(who.service_account, who.groups)
  const { user, email, groups, claims, active, provider } = who
  const idp = providerNamed(config, provider)
  return makePrincipal(
    idp.name,
    makeIdentity(idp, { subject: user, claims, ...(email !== undefined && { email }) }),
    groups === 'unknown' ? 'unknown' : createMembership(groupsNamed(groups), now, 'table test'),
    // Of whom nothing was told, neither groups nor status are known.
    active ? (groups === 'unknown' ? 'unknown' : 'active') : 'inactive',
  )
}

function fits({ expect, reasons }: PolicyTest, judgement: Judgement): boolean {
  if (outcomeOf(judgement) !== expect) return false
  return reasons === undefined || sorted(reasons) === sorted(reasonsOf(judgement))
}

function describeQuestion({ method, url, who }: PolicyTest): string {
  if (who === 'nobody') return `${method} ${url} as nobody`
  if ('service_account' in who) return `${method} ${url} as service account ${who.service_account}`
  const { user, email, groups, active } = who
  const membership = groups === 'unknown' ? 'groups unknown' : groups.length > 0 ? `in ${groups.join(', ')}` : ''
  return [`${method} ${url} as ${email ?? user}`, membership, active ? '' : 'not active'].filter(Boolean).join(', ')
}

function describeDifference(row: PolicyTest, judgement: Judgement): readonly string[] {
  const found = describeOutcome(outcomeOf(judgement), reasonsOf(judgement))
  return [
    ...(row.name === undefined ? [] : [describeQuestion(row)]),
    `expected  ${describeOutcome(row.expect, row.reasons)}`,
    `found     ${found}${judgement.kind === 'route' ? `, route ${judgement.route.name} (${judgement.route.definedAt})` : ''}`,
    ...(judgement.kind === 'route' ? describeExplanation(judgement.route, judgement.explanation) : []),
    ...(judgement.kind === 'bad-request' ? [judgement.detail] : []),
  ]
}

function describeOutcome(outcome: string, reasons: readonly string[] | undefined): string {
  return reasons && reasons.length > 0 ? `${outcome} (${sorted(reasons)})` : outcome
}

function sorted(reasons: readonly string[]): string {
  return reasons.toSorted().join(', ')
}

function certificateOf({ fingerprint, spki_hash: spkiHash, ...names }: NonNullable<PolicyTest['certificate']>) {
  return { names, ...(fingerprint !== undefined && { fingerprint }), ...(spkiHash !== undefined && { spkiHash }) }
}
