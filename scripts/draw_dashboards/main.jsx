/** Draw one dashboard: /?board=pools&prometheus=http://127.0.0.1:9090&theme=dark&from=now-5m&to=now&job=shop&scrape=1 */
import React from 'react';
import { createRoot } from 'react-dom/client';
import { HashRouter } from 'react-router-dom';
import { ThemeContext } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';

import { prepare } from './house';
import { sceneOf } from './scene';
import { Prometheus } from './source';

async function draw() {
  const asked = new URLSearchParams(window.location.search);
  const theme = prepare(
    asked.get('theme') ?? 'light',
    new Prometheus(asked.get('prometheus'), Number(asked.get('scrape') ?? 15))
  );
  const board = await (await fetch(`/dashboards/${asked.get('board')}.json`)).json();
  const scene = sceneOf(board, Object.fromEntries(asked));
  document.body.style.background = theme.colors.background.canvas;
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <HashRouter>
        <div style={{ padding: 16, height: '100vh', display: 'flex', flexDirection: 'column' }}>
          <h1 style={{ fontSize: 20, color: theme.colors.text.primary }}>{board.title}</h1>
          <scene.Component model={scene} />
        </div>
      </HashRouter>
      <PortalContainer />
    </ThemeContext.Provider>
  );
}

draw();
