/** The report's picture: what a request costs in each product, and how the cost grows. Plain SVG. */
import { BROWSING, GET, NGINX } from './budgets.ts'
import { type Cell, median } from './figures.ts'

const WIDTH = 960
const OURS = '#1f6feb'
const THEIRS = '#8c959f'

interface Panel {
  readonly svg: string
  readonly height: number
}

export function chart(cells: readonly Cell[]): string {
  const works = [GET, BROWSING].filter((name) => cells.some(({ work }) => work === name))
  const panels = [...works.map((work) => bars(cells, work)), ...seriesOf(cells).map((name) => lines(cells, name))]
  let y = 0
  const placed = panels.map(({ svg, height }) => {
    const group = `<g transform="translate(0 ${y})">${svg}</g>`
    y += height
    return group
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${y}" fill="#fff"/>
${placed.join('\n')}
</svg>
`
}

export function seriesOf(cells: readonly Cell[]): readonly string[] {
  return [...new Set(cells.flatMap(({ series }) => series ?? []))]
}

/** One bar for each product, the cheapest first. */
function bars(cells: readonly Cell[], work: string): Panel {
  const shown = cells
    .filter((cell) => cell.work === work)
    .map(({ target, rounds }) => ({ target, us: median(rounds) }))
    .toSorted((one, other) => one.us - other.us)
  const most = Math.max(...shown.map(({ us }) => us))
  const rows = shown.map(({ target, us }, i) => {
    const [y, width] = [36 + i * 20, (us / most) * 560]
    return `${text(290, y + 11, target, 'end')}
<rect x="300" y="${y}" width="${width.toFixed(1)}" height="14" fill="${colour(target)}"/>
${text(306 + width, y + 11, `${us.toFixed(1)} µs`)}`
  })
  return { svg: heading(`CPU per request: ${work}`) + rows.join('\n'), height: 56 + shown.length * 20 }
}

/** One line for each product; the amount on a logarithmic scale, the cost too where it spans more than a decade. */
function lines(cells: readonly Cell[], series: string): Panel {
  const [left, top, width, height] = [60, 40, 700, 160]
  const points = cells
    .filter((cell) => cell.series === series)
    .map(({ target, at = 1, rounds }) => ({ target, at, us: median(rounds) }))
  const costs = points.map(({ us }) => us)
  const [low, high] = [Math.min(...costs), Math.max(...costs)]
  const decades = high / low > 10
  const [from, to] = [Math.min(...points.map(({ at }) => at)), Math.max(...points.map(({ at }) => at))]
  const x = (at: number): number => left + (Math.log(at / from) / Math.log(to / from || 1)) * width
  const share = (us: number): number => (decades ? Math.log(us / low) / Math.log(high / low) : us / high)
  const y = (us: number): number => top + height - share(us) * (height - 10)
  // Targets that differ in the amount alone are one line.
  const names = new Set(points.map(({ target }) => (target === NGINX ? NGINX : 'Postern')))
  const drawn = [...names].map((name) => {
    const own = points
      .filter(({ target }) => (target === NGINX) === (name === NGINX))
      .toSorted((one, other) => one.at - other.at)
    const path = own.map(({ at, us }) => `${x(at).toFixed(1)},${y(us).toFixed(1)}`).join(' ')
    const last = own.at(-1)
    return `<polyline points="${path}" fill="none" stroke="${colour(name)}" stroke-width="2"/>
${own.map(({ at, us }) => `<circle cx="${x(at).toFixed(1)}" cy="${y(us).toFixed(1)}" r="3" fill="${colour(name)}"/>${text(x(at), y(us) - 7, us.toFixed(us < 1000 ? 1 : 0), 'middle')}`).join('\n')}
${last ? text(x(last.at) + 12, y(last.us) + 4, name) : ''}`
  })
  const marks = [...new Set(points.map(({ at }) => at))].map((at) =>
    text(x(at), top + height + 16, String(at), 'middle'),
  )
  const axis = `<path d="M${left} ${top + height}H${left + width}" stroke="#d0d7de"/>`
  const title = `µs of CPU per request by ${series}${decades ? ', logarithmic' : ''}`
  return { svg: heading(title) + axis + drawn.join('\n') + marks.join('\n'), height: top + height + 40 }
}

const colour = (target: string): string => (target.startsWith('Postern') ? OURS : THEIRS)

const heading = (words: string): string =>
  `<text x="20" y="24" font-size="14" font-weight="bold" fill="#1f2328">${escaped(words)}</text>\n`

function text(x: number, y: number, words: string, anchor = 'start'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="#1f2328">${escaped(words)}</text>`
}

const escaped = (words: string): string => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
