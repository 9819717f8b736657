// Draws every .chart[data-chart] with ECharts; ECharts itself is fetched only where there is one.
const SOURCE = "/static/vendor/echarts/echarts.common.min.js";
