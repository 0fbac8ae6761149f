import type { ComponentChildren } from 'preact'
import type { Condition, RecentDecision } from '../http/condition.ts'
import { describeDuration } from '../lib/duration.ts'
import { elapsed } from '../lib/time.ts'
import type { Span, WallTime } from '../types.ts'
import { type PageModel, renderPage, Time } from './layout.tsx'
import { ago, ButtonLink, named } from './parts.tsx'

export interface StatusModel extends PageModel, Condition {
  /** Of all processes; absent: the store does not say. */
  readonly sessions?: number
  readonly refused: readonly RecentDecision[]
  readonly allowed: readonly RecentDecision[]
  readonly question: { readonly url: string; readonly method: string; readonly user: string; readonly ip: string }
  readonly answer?: AnswerModel | { readonly problem: string }
}

/** What would be done with a request, and why. */
export interface AnswerModel {
  readonly person: string
  readonly groups?: string
  readonly route?: string
  readonly policy?: readonly string[]
  /** Routes that come first, and why they do not serve it. */
  readonly earlier?: readonly string[]
  readonly decision: string
}

const MAX_WARNINGS = 20
/** More upstreams than these are counted, those that are not healthy first. */
const MAX_UPSTREAMS = 100

/** How Postern is doing, for whoever operates it. Nothing on it changes anything. */
export function statusPage(model: StatusModel): string {
  const { version, process, startedAt, shared, components, configuration, controlPrefix, now, people, streams } = model
  const { sessions } = model
  const isWell = components.every(({ status }) => status === 'ok') && configuration.refused === undefined
  return renderPage(model, {
    title: 'Status',
    tone: isWell ? 'good' : 'wait',
    badge: isWell ? 'In order' : 'Degraded',
    heading: 'Status',
    children: (
      <>
        <p class="lead">
          {`${named(`Postern ${version}`, model)}, process ${process}, ${began(elapsed(now, startedAt))}.`}{' '}
          {shared && 'Other processes serve beside it; numbers and decisions here are those of this one.'}
        </p>
        <section>
          <h2>Parts</h2>
          <dl>
            {components.map(({ name, status, since, detail }) => (
              <>
                <dt>{name}</dt>
                <dd>
                  {status}
                  {since !== undefined && ` for ${describeDuration(Math.max(0, elapsed(now, since)))}`}
                  {detail !== undefined && <span> {detail}</span>}
                </dd>
              </>
            ))}
            <dt>sessions</dt>
            <dd>{sessions === undefined ? 'unknown: the store does not say' : `${sessions}, of all processes`}</dd>
            <dt>people</dt>
            <dd>{people} whose groups are known</dd>
            <dt>streams</dt>
            <dd>{streams} open requests and tunnels</dd>
          </dl>
        </section>
        <Directories {...model} />
        <Upstreams {...model} />
        <Limits {...model} />
        <section>
          <h2>Configuration</h2>
          <dl>
            <dt>In force</dt>
            <dd>
              {ago(elapsed(now, configuration.inForceSince))}{' '}
              <span>
                <Time at={configuration.inForceSince} />
              </span>
            </dd>
            <dt>Routes</dt>
            <dd>{configuration.routes}</dd>
            <dt>Checksum</dt>
            <dd>
              {/* As the log writes it. */}
              <code>{configuration.checksum.toString(16).padStart(8, '0')}</code>
            </dd>
            {configuration.needsRestart.length > 0 && (
              <>
                <dt>Waits for a restart</dt>
                <dd>
                  <code>{configuration.needsRestart.join(', ')}</code>
                </dd>
              </>
            )}
            {configuration.warnings.length > 0 && (
              <>
                <dt>Warnings</dt>
                <dd>
                  <ul class="points">
                    {configuration.warnings.slice(0, MAX_WARNINGS).map((warning) => (
                      <li key={warning}>{warning}</li>
                    ))}
                    {configuration.warnings.length > MAX_WARNINGS && (
                      <li key="">{`and ${configuration.warnings.length - MAX_WARNINGS} more`}</li>
                    )}
                  </ul>
                </dd>
              </>
            )}
            {configuration.refused && (
              <>
                <dt>Not taken over</dt>
                <dd>
                  {ago(elapsed(now, configuration.refused.at))} <code>{configuration.refused.problem}</code>
                </dd>
              </>
            )}
          </dl>
        </section>
        <Explain {...model} />
        <Decisions title="Refused lately" list={model.refused} now={now} />
        <Decisions title="Allowed lately" list={model.allowed} now={now} />
        <div class="actions">
          <ButtonLink href={`${controlPrefix}/`} quiet>
            Your applications
          </ButtonLink>
        </div>
      </>
    ),
  })
}

function Upstreams({ upstreams }: StatusModel) {
  if (upstreams.length === 0) return null
  const shown = upstreams.toSorted((a, b) => Number(a.health === 'healthy') - Number(b.health === 'healthy'))
  return (
    <section>
      <h2>Upstreams</h2>
      <ul class="rows">
        {shown.slice(0, MAX_UPSTREAMS).map(({ upstream, health, detail, active, pending, tunnels }) => (
          <li key={upstream}>
            <strong>{upstream}</strong> {health}
            <p class="note">
              {`requests: ${active}, waiting: ${pending}, tunnels: ${tunnels}`}
              {detail !== undefined && `; ${detail}`}
            </p>
          </li>
        ))}
        {shown.length > MAX_UPSTREAMS && <li key="">{`and ${shown.length - MAX_UPSTREAMS} more`}</li>}
      </ul>
    </section>
  )
}

/** Beside one issuer nothing is to be told apart: the part `directory` has it all. */
function Directories({ directories, now }: StatusModel) {
  if (directories.length < 2) return null
  return (
    <section>
      <h2>Directories</h2>
      <ul class="rows">
        {directories.map(({ issuer, source, people, staleness, leading, trouble }) => (
          <li key={issuer}>
            <strong>{issuer}</strong>
            {` ${source}, ${staleness === undefined ? 'not read yet' : `fresh ${ago(staleness)}`}`}
            <p class="note">
              {`${people} people; ${leading ? 'this process reads it' : 'another process reads it'}`}
              {trouble && `; ${trouble.code} ${ago(elapsed(now, trouble.at))}: ${trouble.message}`}
            </p>
          </li>
        ))}
      </ul>
    </section>
  )
}

function began(age: Span): string {
  return `running for ${describeDuration(Math.max(0, age))}`
}

function Limits(model: StatusModel) {
  const { limits } = model
  if (limits.length === 0) return null
  return (
    <section>
      <h2>Rate limits of Okta, in calls a minute</h2>
      <dl>
        {limits.map(({ name, limit, remaining, allowance }) => (
          <>
            <dt>{name}</dt>
            <dd>{named(`${remaining} of ${limit} left; Postern may use ${allowance}`, model)}</dd>
          </>
        ))}
      </dl>
    </section>
  )
}

function Explain({ question, answer, controlPrefix }: StatusModel) {
  const field = (name: keyof typeof question, label: string): ComponentChildren => (
    <p>
      <label for={name}>{label}</label>
      <input id={name} name={name} value={question[name]} autocomplete="off" spellcheck={false} />
    </p>
  )
  return (
    <section>
      <h2>What would happen to a request?</h2>
      <form class="fields" action={`${controlPrefix}/status`}>
        {field('url', 'Address, https://app.corp.example/path')}
        {field('method', 'Method')}
        {field('user', 'User id or e-mail address of somebody who is signed in; empty: nobody')}
        {field('ip', 'From the network address')}
        <button type="submit" class="button quiet">
          Explain
        </button>
      </form>
      {answer && ('problem' in answer ? <p role="status">{answer.problem}</p> : <Answer {...answer} />)}
    </section>
  )
}

function Answer({ person, groups, route, policy = [], earlier = [], decision }: AnswerModel) {
  return (
    <dl>
      <dt>Person</dt>
      <dd>{person}</dd>
      {groups !== undefined && <dt>Groups</dt>}
      {groups !== undefined && <dd>{groups}</dd>}
      {route !== undefined && <dt>Route</dt>}
      {route !== undefined && <dd>{route}</dd>}
      {policy.length > 0 && <dt>Policy</dt>}
      {policy.length > 0 && (
        <dd>
          <code class="lines">{policy.join('\n')}</code>
        </dd>
      )}
      {earlier.length > 0 && <dt>Not</dt>}
      {earlier.length > 0 && <dd>{earlier.join('; ')}</dd>}
      <dt>Decision</dt>
      <dd>
        <strong>{decision}</strong>
      </dd>
    </dl>
  )
}

function Decisions({
  title,
  list,
  now,
}: {
  readonly title: string
  readonly list: readonly RecentDecision[]
  readonly now: WallTime
}) {
  return (
    <section>
      <h2>{title}</h2>
      {list.length === 0 ? (
        <p>None since this process began, or since the status page was turned on.</p>
      ) : (
        <ul class="rows">
          {list.map(({ at, requestId, method, host, path, route, outcome, reasons, person, status }) => (
            <li key={requestId}>
              <strong>
                {outcome}
                {status !== undefined && ` ${status}`}
              </strong>{' '}
              {`${method} ${host}${path}`}
              <p class="note">
                {`${route}; ${reasons.join(', ')}; ${person ?? 'nobody'}; ${ago(elapsed(now, at))}`}{' '}
                <code>{requestId}</code>
              </p>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
