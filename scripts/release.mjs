// Makes a release from the commits since the last one.
//   node scripts/release.mjs plan             prints the next version and what would be written; changes nothing
//   node scripts/release.mjs make             writes version and CHANGELOG.md, commits them and tags vX.Y.Z
//   node scripts/release.mjs notes VERSION    prints that version's section of CHANGELOG.md
// The last release is the newest tag vX.Y.Z that HEAD descends from; without one the version of package.json is the
// first. A feature raises the minor version, anything else the patch; what breaks raises the major version, before 1.0
// the minor. RELEASE_DATE (YYYY-MM-DD) stands in for today's date. Works on the repository it is started in.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const CHANGELOG = 'CHANGELOG.md'
/** Where the version stands, and as what. */
const PLACES = [
  { file: 'package.json', pattern: (old) => `"version": "${old}"`, times: 1 },
  { file: 'package-lock.json', pattern: (old) => `"version": "${old}"`, times: 2 }, // its own, before any package's
  { file: 'helm/postern/Chart.yaml', pattern: (old) => `ersion: ${old}`, times: 2 },
  { file: 'Dockerfile', pattern: (old) => `ARG VERSION=${old}`, times: 1 },
  { file: 'compose.yaml', pattern: (old) => `postern:${old}`, times: 2 },
  { file: 'docs/deploy.md', pattern: (old) => `postern:${old}`, times: Infinity },
]
const SECTIONS = [
  { title: 'Breaking changes', of: ({ breaking }) => breaking },
  { title: 'New', of: ({ type, breaking }) => type === 'feat' && !breaking },
  { title: 'Mended', of: ({ type, breaking }) => type === 'fix' && !breaking },
  { title: 'Faster', of: ({ type, breaking }) => type === 'perf' && !breaking },
]

const git = (...args) =>
  execFileSync('git', args, { encoding: 'utf8', maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'pipe'] }).trim()
const fail = (message) => {
  console.error(message)
  process.exit(1)
}

function lastRelease() {
  try {
    return git('describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*.[0-9]*.[0-9]*')
  } catch {
    return undefined
  }
}

/** Conventional commits since a tag, oldest first; others are not for users. */
function commitsSince(tag) {
  const text = git('log', '--reverse', '--no-merges', '--format=%H%x00%s%x00%b%x01', ...(tag ? [`${tag}..HEAD`] : []))
  return text.split('\x01').flatMap((entry) => {
    const [hash, subject = '', body = ''] = entry.trim().split('\0')
    const [, type, scope, mark, words] = /^(\w+)(?:\(([^)]*)\))?(!?): (.+)$/.exec(subject) ?? []
    if (type === undefined) return []
    const note = /^BREAKING[ -]CHANGE: ([^]*?)(?:\n\n|$(?![^]))/m.exec(body)?.[1]?.replace(/\s+/g, ' ').trim()
    return [{ hash, type, scope, words, breaking: mark === '!' || note !== undefined, note }]
  })
}

function nextVersion(last, commits) {
  const [major, minor, patch] = last.split('.').map(Number)
  const breaks = commits.some(({ breaking }) => breaking)
  if (breaks && major > 0) return `${major + 1}.0.0`
  if (breaks || commits.some(({ type }) => type === 'feat')) return `${major}.${minor + 1}.0`
  return `${major}.${minor}.${patch + 1}`
}

/** The section of a release. Of the first only what it brings: nobody has had its faults. */
function section(version, commits, first) {
  const date = process.env.RELEASE_DATE ?? new Date().toISOString().slice(0, 10)
  const parts = SECTIONS.filter(({ title }) => !first || title === 'New').flatMap(({ title, of }) => {
    const lines = commits.filter(of).map((commit) => line(commit))
    return lines.length === 0 ? [] : [`### ${title}\n\n${lines.toSorted().join('\n')}`]
  })
  return [`## ${version} (${date})`, ...(parts.length === 0 ? ['Nothing that users see.'] : parts)].join('\n\n')
}

const line = ({ scope, words, note, hash }) =>
  `- ${scope ? `**${scope}**: ` : ''}${words}${note ? `. ${note}` : ''} (${hash.slice(0, 8)})`

function plan() {
  const tag = lastRelease()
  const current = JSON.parse(readFileSync('package.json', 'utf8')).version
  if (tag !== undefined && tag !== `v${current}`) fail(`package.json says ${current}, and the last release is ${tag}`)
  const commits = commitsSince(tag)
  if (tag !== undefined && commits.length === 0) fail(`nothing was committed since ${tag}`)
  const version = tag === undefined ? current : nextVersion(current, commits)
  return { current, version, text: section(version, commits, tag === undefined) }
}

function replaced({ file, pattern, times }, current, version) {
  const text = readFileSync(file, 'utf8')
  const parts = text.split(pattern(current))
  if (times !== Infinity && parts.length <= times) fail(`${file} does not name version ${current} ${times} times`)
  const count = Math.min(times, parts.length - 1)
  return (
    parts.slice(0, count + 1).join(pattern(version)) +
    parts
      .slice(count + 1)
      .map((part) => pattern(current) + part)
      .join('')
  )
}

function make() {
  if (git('status', '--porcelain') !== '') fail('commit first: a release is made of what is committed')
  const { current, version, text } = plan()
  const files = PLACES.map((place) => [place.file, replaced(place, current, version)])
  for (const [file, content] of files) writeFileSync(file, content)
  const before = existsSync(CHANGELOG) ? readFileSync(CHANGELOG, 'utf8') : '# Changes\n'
  const [heading, ...sections] = before.split(/^(?=## )/m)
  if (sections.some((each) => each.startsWith(`## ${version} `))) fail(`${CHANGELOG} has ${version} already`)
  writeFileSync(CHANGELOG, [heading.trim(), text, ...sections.map((each) => each.trim())].join('\n\n') + '\n')
  git('add', CHANGELOG, ...files.map(([file]) => file))
  git('commit', '--quiet', '--message', `chore(release): ${version}`)
  git('tag', '--annotate', `v${version}`, '--message', `Postern ${version}`)
  console.log(`v${version} is committed and tagged; push it with: git push --follow-tags`)
}

function notes(version) {
  const found = readFileSync(CHANGELOG, 'utf8')
    .split(/^(?=## )/m)
    .find((each) => each.startsWith(`## ${version} `))
  if (found === undefined) fail(`${CHANGELOG} has no section for ${version}`)
  console.log(found.trim())
}

const [what, argument] = process.argv.slice(2)
if (what === 'plan') {
  const { current, version, text } = plan()
  console.log(`${current} → ${version}\n\n${text}`)
} else if (what === 'make') make()
else if (what === 'notes' && argument !== undefined) notes(argument)
else {
  console.error('usage: node scripts/release.mjs plan | make | notes VERSION')
  process.exit(2)
}
