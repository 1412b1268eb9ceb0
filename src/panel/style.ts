import { PALETTES, variablesOf } from "./palettes.ts";

/** The stylesheet of all pages. */
export const style = `
:root { ${variablesOf(PALETTES.light)}; --edge: #d5dae3; --soft: #f3f5f9; --link: #0b5fb5; --warn: #8a4b00;
  --warn-soft: #fff1d6; --bad-soft: #fde6e6; --good-soft: #e2f4ec; color-scheme: light dark }
@media (prefers-color-scheme: dark) {
  :root { ${variablesOf(PALETTES.dark)}; --edge: #323b49; --soft: #1b212b; --link: #74b6ff; --warn: #ffc36b;
    --warn-soft: #3a2a0c; --bad-soft: #42191b; --good-soft: #12352a }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
header, main { max-width: 60rem; margin: 0 auto; padding: .75rem 1rem }
header { min-height: 4.0625rem; display: flex; align-items: center; justify-content: space-between; border-bottom: 1px solid var(--edge) }
header nav { display: flex; gap: 1rem; align-items: center }
a { color: var(--link) }
.home { white-space: nowrap; color: inherit; font-weight: 600; text-decoration: none }
.skip { position: absolute; left: -99rem }
.skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .25rem .5rem }
h1 { font-size: 1.5rem; margin: .75rem 0 .25rem; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 1.75rem 0 .5rem }
h3 { font-size: 1rem; margin: 0 }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
.sub { color: var(--faint); font-size: .875rem; display: block; overflow-wrap: anywhere }
p.sub { margin: .25rem 0 }
.hint { color: var(--faint); margin: .25rem 0 1rem }
.empty { background: var(--soft); border: 1px solid var(--edge); border-radius: .5rem; padding: 1rem }
.problem { color: var(--bad); background: var(--bad-soft); border-radius: .375rem; padding: .375rem .75rem; margin: .5rem 0 }
pre { background: var(--soft); border-radius: .375rem; padding: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8125rem }
.badge { display: inline-block; border: 1px solid var(--edge); border-radius: 1rem; padding: 0 .5rem; font-size: .8125rem; white-space: nowrap }
.badge.healthy { color: var(--good); background: var(--good-soft); border-color: currentColor }
.badge.warning { color: var(--warn); background: var(--warn-soft); border-color: currentColor }
.badge.unhealthy { color: var(--bad); background: var(--bad-soft); border-color: currentColor }
table { border-collapse: collapse; width: 100% }
th, td { text-align: start; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--edge); vertical-align: top; font-weight: 400 }
thead th { color: var(--faint); font-size: .875rem }
tfoot th, tfoot td { border-bottom: 0 }
.number { text-align: end; font-variant-numeric: tabular-nums }
tbody th { overflow-wrap: anywhere }
/* Columns of a fixed width, known before the first cell, do not move while a slow network sends the rest. */
.experiments, .metrics { table-layout: fixed }
.experiments col:nth-child(2) { width: 5.75rem }
.experiments col:nth-child(3) { width: 7.25rem }
.experiments col:nth-child(4) { width: 5rem }
.experiments col:nth-child(5) { width: 7rem }
.experiments col:nth-child(6) { width: 9rem }
.metrics col:nth-child(2) { width: 12% }
.metrics col:nth-child(3) { width: 11% }
.metrics col:nth-child(4) { width: 35% }
.metrics col:nth-child(5) { width: 18% }
.experiments th a { font-weight: 600 }
.swatch { margin-inline-end: .5rem }
.spark { color: var(--line-0); display: block }
form.filter, form.login, .share form { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; margin: 1rem 0 }
form.login { flex-direction: column; align-items: stretch; max-width: 24rem; gap: .25rem }
label { color: var(--faint); font-size: .875rem; max-width: 100% }
input, select, button { font: inherit; color: var(--ink); background: var(--ground); border: 1px solid var(--faint); border-radius: .375rem; padding: .375rem .625rem; min-height: 2.5rem; max-width: 100% }
.filter label { flex: 0 1 12rem; min-width: 0 }
.filter label input, .filter label select { width: 100% }
.filter label input, .filter label select, .share label input, .share label select { display: block }
.link { width: 100% }
button { cursor: pointer; background: var(--soft) }
button.primary { background: var(--link); border-color: var(--link); color: var(--ground) }
button:disabled { opacity: .65; cursor: default }
button.plain { border: 0; background: none; color: var(--link); padding: 0; text-decoration: underline }
.headline { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 1rem 0 }
.headline dt { color: var(--faint); font-size: .875rem }
.headline dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums }
.freshness p { margin: .5rem 0 }
.tabs { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; justify-content: space-between }
.tabs span { display: flex; gap: 1rem }
.tabs a[aria-current] { color: inherit; font-weight: 600; text-decoration: none }
.plot .narrow { display: none }
.wide-content { overflow-x: auto }
.plot svg { display: block; width: 100%; height: auto }
.plot .cursor { stroke: var(--faint); stroke-dasharray: 3 3 }
.reading { min-height: 1.5rem; margin: .25rem 0; font-size: .875rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.health ul { list-style: none; margin: 0; padding: 0 }
.health li { display: flex; gap: .75rem; align-items: baseline; padding: .5rem 0; border-bottom: 1px solid var(--edge) }
.health li > div { flex: 1; min-width: 0 }
.breakdown caption { text-align: start; font-weight: 600; padding-block: .5rem }
.breakdown th[scope=row] { overflow-wrap: anywhere; min-width: 6rem; max-width: 16rem; font-weight: 400 }
.bar { display: block; width: 5rem; height: .5rem; margin-block: .375rem; background: var(--soft) }
.health li .badge { flex: 0 0 6rem; text-align: center }
.health li p { margin: 0; overflow-wrap: anywhere }
.banner { border: 1px solid var(--edge); border-inline-start: .375rem solid var(--faint); border-radius: .375rem; padding: .5rem 1rem; margin: .5rem 0 1rem; overflow-wrap: anywhere }
.banner p { margin: .25rem 0 }
.banner.won { border-inline-start-color: var(--good); background: var(--good-soft) }
.banner.harmed, .banner.lost, .banner.unhealthy { border-inline-start-color: var(--bad); background: var(--bad-soft) }
.banner.mixed { border-inline-start-color: var(--warn); background: var(--warn-soft) }
.metrics td.axis { padding-block: .25rem }
.metrics .axis svg { display: block; width: 100%; max-width: 18rem; height: auto }
.metrics .metric th, .metrics .metric td { padding-top: 1rem; vertical-align: bottom }
.metrics .number { white-space: nowrap }
.sensitivity ul { margin: .5rem 0; padding-inline-start: 1.25rem; overflow-wrap: anywhere }
.toc ul { columns: 20rem; padding: 0; list-style: none; overflow-wrap: anywhere }
.operation { border-top: 1px solid var(--edge); padding: .75rem 0; overflow-wrap: anywhere }
.operation p { margin: .25rem 0 .5rem }
.operation dl, .errors { display: grid; grid-template-columns: 6rem 1fr; gap: .25rem .75rem; margin: 0; font-size: .875rem }
.operation dt, .errors dt { color: var(--faint) }
.operation dd, .errors dd { margin: 0; min-width: 0 }
.pages { display: flex; gap: 1rem; justify-content: center; margin: 1rem 0 }
details { margin: 1.5rem 0 }
summary { cursor: pointer; color: var(--link) }
@media (max-width: 40rem) {
  .headline div { flex: 1 0 100%; display: flex; justify-content: space-between; gap: 1rem; align-items: baseline }
  .filter label { flex: 1 1 9rem }
  .experiments, .experiments tbody { display: block }
  .experiments thead { position: absolute; left: -99rem }
  .experiments tr { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: center; padding: .75rem 0; border-bottom: 1px solid var(--edge) }
  .experiments th, .experiments td { border: 0; padding: 0 }
  .experiments tbody th { flex: 1 0 100% }
  .experiments td[data-label]::after { content: " " attr(data-label); color: var(--faint) }
  .metrics, .metrics tbody { display: block }
  .metrics thead { position: absolute; left: -99rem }
  .metrics tr { display: grid; grid-template-columns: 1fr auto auto; gap: .125rem 1rem; padding: .5rem 0; border-bottom: 1px solid var(--edge) }
  .metrics th, .metrics td, .metrics .metric th, .metrics .metric td { border: 0; padding: 0 }
  .metrics .metric th, .metrics td.axis { grid-column: 1 / -1 }
  .metrics td:last-child { grid-column: 1 / -1 }
  .metrics td[data-label]::before { content: attr(data-label) " "; color: var(--faint); font-size: .75rem }
  .metrics td:empty { display: none }
  .plot .narrow { display: block }
  .plot .wide { display: none }
  .balance th, .balance td, .breakdown th, .breakdown td { padding-inline-end: .125rem; font-size: .75rem }
  .balance .badge { white-space: normal }
  .health li { flex-direction: column; gap: .25rem }
  .health li > div { width: 100% }
  .health li .badge { flex: none }
}
@media (prefers-reduced-motion: no-preference) { button { transition: background .1s } }
`;
